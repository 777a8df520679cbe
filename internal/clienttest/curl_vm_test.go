package clienttest

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The key of somebody who backs up the orchard, with what keys have in their comments.
const sshKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOe+Dk/h1XlfbI3bLz4kLpPqZfWzHkWn1hHfvJ0n3b1k backup+night@example.org"

// testCurlVM follows two VMs, the one made by a form, the other by JSON, with an API token.
func testCurlVM(t *testing.T, h *house) {
	uploadGuest(t, h)
	c := h.tokenCurl(t, "gardener")
	qemu := "/nodes/" + node + "/qemu"
	description := "# Beds\nroses & peonies; 100% organic\ttabs, \"quotes\" = fine\n\nüber dem Teich"

	var id string
	c.do(t, "-G", "-d", "vmid=78300", "/cluster/nextid").into(t, &id)
	require.Equal(t, "78300", id)
	c.done(t, c.do(t, "-d", "vmid=78300", "-d", "name=roses", "-d", "memory=128", "-d", "cores=1", "-d", "kvm=0", "-d", "agent=1",
		"--data-urlencode", "scsi0="+storage+":0,import-from="+diskVol, "--data-urlencode", "ide2="+storage+":cloudinit",
		"--data-urlencode", "net0=virtio,bridge="+bridge, "--data-urlencode", "ipconfig0=ip=dhcp",
		"--data-urlencode", "description="+description, "--data-urlencode", "sshkeys="+strings.ReplaceAll(url.QueryEscape(sshKey), "+", "%20"),
		"-d", "tags=flowers%3Bbeds", "-d", "scsihw=virtio-scsi-pci", "-d", "boot=order%3Dscsi0", qemu))

	config := map[string]any{}
	c.do(t, qemu+"/78300/config").into(t, &config)
	require.Equal(t, "roses", config["name"])
	require.Equal(t, "128", config["memory"])
	require.Equal(t, 1.0, config["cores"])
	require.Equal(t, "beds;flowers", config["tags"])
	require.Equal(t, description, strings.TrimSuffix(config["description"].(string), "\n"))
	key, err := url.PathUnescape(config["sshkeys"].(string))
	require.NoError(t, err)
	require.Equal(t, sshKey, strings.TrimSuffix(key, "\n"))
	require.NotContains(t, config, "onboot", "defaults are not filled in")

	c.done(t, c.do(t, "--json", `{"vmid":78301,"name":"reeds","memory":"128","onboot":true,"tablet":false,"numa":0,"net0":"e1000,bridge=`+bridge+`","boot":null}`, qemu))
	clear(config)
	c.do(t, "-G", "-d", "current=1", qemu+"/78301/config").into(t, &config)
	require.Equal(t, 1.0, config["onboot"])
	require.Equal(t, 0.0, config["tablet"])

	c.do(t, "-X", "POST", "-d", "vmid=78300", qemu).fails(t, "500 unable to create VM 78300 - VM 78300 already exists on node '"+node+"'")
	c.do(t, "-G", "-d", "vmid=78300", "/cluster/nextid").refuses(t, map[string]string{"vmid": "VM 78300 already exists"})
	type resource struct {
		Vmid         int
		Name, Status string
	}
	var rows []resource
	c.do(t, "-G", "-d", "type=vm", "/cluster/resources").into(t, &rows)
	for _, id := range []int{78300, 78301} {
		row := named(t, rows, func(r resource) bool { return r.Vmid == id })
		require.Equal(t, "stopped", row.Status)
	}

	t.Run("change", func(t *testing.T) {
		c.do(t, "-X", "PUT", "-d", "cores=2", "--data-urlencode", "name=climbing-roses", "-d", "delete=tags", qemu+"/78300/config").ok(t)
		c.done(t, c.do(t, "-H", "Content-Type: application/json", "-d", `{"cores":1,"agent":"enabled=1"}`, qemu+"/78300/config"))
		c.do(t, "-X", "PUT", "-d", "cores=1", "-d", "delete=cores", qemu+"/78300/config").refuses(t, map[string]string{
			"delete": "you can't use '-cores' and -delete cores' at the same time",
		})
		c.do(t, "-X", "PUT", "-d", "delete=colour", qemu+"/78300/config").refuses(t, map[string]string{"delete": "unknown option 'colour'"})
		c.do(t, "-X", "PUT", qemu+"/78300/config").fails(t, "500 no options specified")
		c.done(t, c.do(t, "-X", "PUT", "-d", "disk=scsi0", "--data-urlencode", "size=+32M", qemu+"/78300/resize"))
		clear(config)
		c.do(t, qemu+"/78300/config").into(t, &config)
		require.Equal(t, "climbing-roses", config["name"])
		require.NotContains(t, config, "tags")
		require.Contains(t, config["scsi0"], "size=64M")
	})

	t.Run("run", func(t *testing.T) {
		c.done(t, c.do(t, "-X", "POST", qemu+"/78300/status/start"))
		var st struct {
			Status, Qmpstatus, Name string
			Vmid, Pid, Agent        int
			Ha                      struct{ Managed int }
		}
		c.do(t, qemu+"/78300/status/current").into(t, &st)
		require.Equal(t, "running", st.Status)
		require.Equal(t, "running", st.Qmpstatus)
		require.Equal(t, 78300, st.Vmid)
		require.Contains(t, h.guests(), st.Pid)
		require.Equal(t, 1, st.Agent)
		require.Equal(t, "VM 78300 already running", c.wait(t, c.do(t, "-X", "POST", qemu+"/78300/status/start")))
		// The guest has hardly begun to boot.
		c.do(t, qemu+"/78300/agent/network-get-interfaces").fails(t, "500 QEMU guest agent is not running")
		c.do(t, "-X", "DELETE", qemu+"/78300").fails(t, "500 VM 78300 is running - destroy failed")
		c.done(t, c.do(t, "-d", "timeout=30", qemu+"/78300/status/stop"))
		c.do(t, "-X", "POST", qemu+"/78300/status/reset").fails(t, "500 VM 78300 not running")
		c.do(t, qemu+"/78300/agent/info").fails(t, "500 VM 78300 is not running")
	})

	t.Run("tasks", func(t *testing.T) {
		var tasks []struct{ Upid, Type, ID, User, Status string }
		c.do(t, "-G", "-d", "vmid=78300", "-d", "typefilter=qmstart", "-d", "limit=10", "/nodes/"+node+"/tasks").into(t, &tasks)
		require.Len(t, tasks, 2)
		require.Equal(t, "VM 78300 already running", tasks[0].Status)
		require.Equal(t, "OK", tasks[1].Status)
		require.Equal(t, "78300", tasks[1].ID)
		var log []struct {
			N int
			T string
		}
		c.do(t, "-G", "-d", "start=0", "-d", "limit=100", "/nodes/"+node+"/tasks/"+tasks[0].Upid+"/log").into(t, &log)
		require.Equal(t, "TASK ERROR: VM 78300 already running", log[len(log)-1].T)
		require.Equal(t, len(log), log[len(log)-1].N)
	})

	t.Run("clone, template", func(t *testing.T) {
		c.done(t, c.do(t, "-X", "POST", qemu+"/78300/template"))
		c.done(t, c.do(t, "-d", "newid=78302", "-d", "name=cutting", qemu+"/78300/clone"))
		require.Equal(t, "you can't start a vm if it's a template", c.wait(t, c.do(t, "-X", "POST", qemu+"/78300/status/start")))
		require.Contains(t, c.wait(t, c.do(t, "-X", "DELETE", qemu+"/78300")), "is still in use by linked clone")
		c.do(t, "-d", "newid=78302", qemu+"/78300/clone").fails(t, "500 unable to create VM 78302: config file already exists")
	})

	for _, id := range []string{"78302", "78301", "78300"} {
		c.done(t, c.do(t, "-X", "DELETE", "-G", "-d", "purge=1", "-d", "destroy-unreferenced-disks=1", qemu+"/"+id))
	}
	var volumes []struct{ Volid string }
	c.do(t, "-G", "-d", "content=images", "/nodes/"+node+"/storage/"+storage+"/content").into(t, &volumes)
	for _, v := range volumes {
		require.NotContains(t, v.Volid, storage+":783")
	}
}
