package clienttest

import (
	"testing"
	"time"

	proxmox "github.com/luthermonson/go-proxmox"
	"github.com/stretchr/testify/require"
)

// goProxmox walks through the house with luthermonson/go-proxmox, which sends JSON only and takes the text of an error from
// the status line.
type goProxmox struct {
	house  *house
	client *proxmox.Client // root@pam by password
	node   *proxmox.Node
	store  *proxmox.Storage
}

func testGoProxmox(t *testing.T, h *house) {
	g := &goProxmox{house: h}
	if !t.Run("log in with a password", g.logIn) {
		return // nothing else can work
	}
	t.Run("wrong password", g.wrongPassword)
	t.Run("renew the ticket", g.renewTicket)
	t.Run("node", g.nodeStatus)
	t.Run("cluster", g.cluster)
	t.Run("API token", g.token)
	t.Run("users, groups, roles, ACL", g.access)
	t.Run("pools", g.pools)
	if t.Run("storage", g.storage) && t.Run("ISO images", g.isoImages) {
		t.Run("VM", g.vm)
	}
}

// newClient makes a client as its users do, with the house's CA.
func (h *house) newClient(opts ...proxmox.Option) *proxmox.Client {
	opts = append([]proxmox.Option{proxmox.WithRootCAFile(h.caFile()), proxmox.WithTimeout(time.Minute)}, opts...)
	return proxmox.NewClient(h.url()+"/api2/json", opts...)
}

func (h *house) newPasswordClient(user, password string) *proxmox.Client {
	return h.newClient(proxmox.WithCredentials(&proxmox.Credentials{Username: user, Password: password}))
}

// logIn lets the client find out by a 401 that it needs a ticket, as it does by default.
func (g *goProxmox) logIn(t *testing.T) {
	g.client = g.house.newPasswordClient(rootUser, g.house.password)
	v, err := g.client.Version(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `^\d+\.\d+(\.\d+)?$`, v.Version)
	require.Regexp(t, `^\d+\.\d+$`, v.Release)
	require.NotEmpty(t, v.RepoID)

	s := g.client.Session()
	require.Equal(t, rootUser, s.Username)
	require.Regexp(t, `^PVE:root@pam:[0-9A-F]{8}::`, s.Ticket)
	require.NotEmpty(t, s.CSRFPreventionToken)
	require.Equal(t, 1, s.Cap["vms"]["VM.Allocate"])
}

func (g *goProxmox) wrongPassword(t *testing.T) {
	_, err := g.house.newPasswordClient(rootUser, "not the password").Version(t.Context())
	require.ErrorIs(t, err, proxmox.ErrNotAuthorized)
}

func (g *goProxmox) renewTicket(t *testing.T) {
	require.NoError(t, g.client.RefreshTicket(t.Context()))
	_, err := g.client.Nodes(t.Context())
	require.NoError(t, err)

	s := g.client.Session()
	other := g.house.newClient(proxmox.WithSession(s.Ticket, s.CSRFPreventionToken))
	_, err = other.Version(t.Context())
	require.NoError(t, err)
}

func (g *goProxmox) nodeStatus(t *testing.T) {
	ctx := t.Context()
	nodes, err := g.client.Nodes(ctx)
	require.NoError(t, err)
	require.Len(t, nodes, 1)
	n := nodes[0]
	require.Equal(t, node, n.Node)
	require.Equal(t, "online", n.Status)
	require.Equal(t, "node", n.Type)
	require.Equal(t, "node/"+node, n.ID)
	require.Positive(t, n.MaxCPU)
	require.Positive(t, n.MaxMem)
	require.Positive(t, n.MaxDisk)
	require.Positive(t, n.Uptime)
	require.Regexp(t, `^([0-9A-F]{2}:){31}[0-9A-F]{2}$`, n.SSLFingerprint)

	g.node, err = g.client.Node(ctx, node)
	require.NoError(t, err)
	require.Equal(t, n.MaxMem, g.node.Memory.Total)
	require.Equal(t, n.MaxCPU, g.node.CPUInfo.CPUs)
	require.Len(t, g.node.LoadAvg, 3)
	require.NotEmpty(t, g.node.PVEVersion)
	require.NotEmpty(t, g.node.Kversion)
	require.Positive(t, g.node.RootFS.Total)

	v, err := g.node.Version(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, v.Version)

	_, err = g.client.Node(ctx, "elsewhere")
	require.ErrorContains(t, err, "500 hostname lookup 'elsewhere' failed")
}

func (g *goProxmox) cluster(t *testing.T) {
	ctx := t.Context()
	c, err := g.client.Cluster(ctx)
	require.NoError(t, err)
	require.Len(t, c.Nodes, 1)
	require.Equal(t, node, c.Nodes[0].Name)
	require.Equal(t, "online", c.Nodes[0].Status)
	require.Equal(t, 1, c.Nodes[0].Local)
	require.NotEmpty(t, c.Nodes[0].IP)

	id, err := c.NextID(ctx)
	require.NoError(t, err)
	require.GreaterOrEqual(t, id, 100)
	free, err := c.CheckID(ctx, id)
	require.NoError(t, err)
	require.True(t, free)

	all, err := c.Resources(ctx)
	require.NoError(t, err)
	ids := map[string]*proxmox.ClusterResource{}
	for _, r := range all {
		ids[r.ID] = r
	}
	require.Contains(t, ids, "node/"+node)
	require.Equal(t, "online", ids["node/"+node].Status)
	require.Contains(t, ids, "storage/"+node+"/"+storage)
	require.Equal(t, "dir", ids["storage/"+node+"/"+storage].PluginType)
	vms, err := c.Resources(ctx, "vm")
	require.NoError(t, err)
	require.Empty(t, vms)
	_, err = c.Resources(ctx, "planets")
	require.ErrorContains(t, err, "bad request: 400 Parameter verification failed.")
	require.ErrorContains(t, err, "value 'planets' does not have a value in the enumeration 'vm, storage, node, sdn'")

	_, err = c.Tasks(ctx)
	require.NoError(t, err)
}

// wait follows a task to its end, which must be the given status.
func wait(t *testing.T, task *proxmox.Task, status string) {
	t.Helper()
	require.NotNil(t, task, "the call answered no UPID")
	require.NoError(t, task.Wait(t.Context(), 200*time.Millisecond, 2*time.Minute))
	if task.ExitStatus != status {
		log, err := task.Log(t.Context(), 0, 500)
		require.NoError(t, err)
		require.Equal(t, status, task.ExitStatus, "%s said %v", task.UPID, log)
	}
	require.True(t, task.IsCompleted)
	require.Equal(t, status == "OK", task.IsSuccessful)
}

// waitOK returns a function for calls that answer a task and an error.
func waitOK(t *testing.T) func(*proxmox.Task, error) {
	return func(task *proxmox.Task, err error) {
		t.Helper()
		require.NoError(t, err)
		wait(t, task, "OK")
	}
}
