package qapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qapi"
)

// recorder is a client that notes what it is asked and answers from a table.
type recorder struct {
	replies map[string]string
	sent    []string
}

func (r *recorder) Do(_ context.Context, cmd string, args, out any) error {
	b, err := json.Marshal(args)
	if err != nil {
		return err
	}
	r.sent = append(r.sent, cmd+" "+string(b))
	reply, ok := r.replies[cmd]
	switch {
	case !ok:
		return errors.New("refused")
	case out == nil:
		return nil
	}
	return json.Unmarshal([]byte(reply), out)
}

func TestCommands(t *testing.T) {
	c := &recorder{replies: map[string]string{
		"device_del": `{}`, "qom-set": `{}`, "migrate": `{}`, "device_add": `{}`, "netdev_add": `{}`, "block-commit": `{}`,
		"query-status":          `{"status":"running","running":true}`,
		"query-name":            `{}`,
		"query-jobs":            `[{"id":"j","type":"mirror","status":"ready","current-progress":1,"total-progress":2}]`,
		"human-monitor-command": `"text"`,
		"qom-get":               `18446744073709551615`,
	}}
	ctx := t.Context()
	require.NoError(t, qapi.DeviceDel(ctx, c, "net1"))
	require.NoError(t, qapi.QOMSet(ctx, c, "/p", "x", []int{1}))
	require.NoError(t, qapi.Migrate(ctx, c, &qapi.MigrateArgs{URI: new("unix:/s")}))
	require.NoError(t, qapi.Migrate(ctx, c, nil))
	require.NoError(t, qapi.NetdevAdd(ctx, c, &qapi.Netdev{ID: "n", User: &qapi.NetdevUserOptions{Restrict: new(true)}}))
	require.NoError(t, qapi.DeviceAdd(ctx, c, &qapi.DeviceAddArgs{Driver: "d", ID: new("i"), Properties: map[string]any{"drive": "n"}}))
	require.NoError(t, qapi.BlockCommit(ctx, c, &qapi.BlockCommitArgs{Device: "d", AutoDismiss: new(false)}))
	require.Equal(t, []string{
		`device_del {"id":"net1"}`,
		`qom-set {"path":"/p","property":"x","value":[1]}`,
		`migrate {"uri":"unix:/s"}`,
		`migrate null`,
		`netdev_add {"id":"n","type":"user","restrict":true}`,
		`device_add {"drive":"n","driver":"d","id":"i"}`,
		`block-commit {"device":"d","auto-dismiss":false}`,
	}, c.sent)

	status, err := qapi.QueryStatus(ctx, c)
	require.NoError(t, err)
	require.Equal(t, &qapi.StatusInfo{Status: qapi.RunStateRunning, Running: true}, status)
	jobs, err := qapi.QueryJobs(ctx, c)
	require.NoError(t, err)
	require.Equal(t, qapi.JobStatusReady, jobs[0].Status)
	text, err := qapi.HumanMonitorCommand(ctx, c, &qapi.HumanMonitorCommandArgs{CommandLine: "info version"})
	require.NoError(t, err)
	require.Equal(t, "text", text)
	raw, err := qapi.QOMGet(ctx, c, "/p", "x")
	require.NoError(t, err)
	require.Equal(t, "18446744073709551615", string(raw))

	none, err := qapi.QueryVersion(ctx, c)
	require.ErrorContains(t, err, "refused")
	require.Nil(t, none)
	require.ErrorContains(t, qapi.DeviceAdd(ctx, c, &qapi.DeviceAddArgs{Driver: "d", Properties: map[string]any{"id": "x"}}), `"id" among`)
}

func TestEvents(t *testing.T) {
	e := qmp.Event{Name: "DEVICE_DELETED", Data: json.RawMessage(`{"device":"net1","path":"/p"}`)}
	d, err := qapi.DecodeEvent(e)
	require.NoError(t, err)
	require.Equal(t, &qapi.DeviceDeletedEvent{Device: new("net1"), Path: "/p"}, d)
	v, err := qapi.EventAs[qapi.DeviceDeletedEvent](e)
	require.NoError(t, err)
	require.Equal(t, "net1", *v.Device)
	_, err = qapi.EventAs[qapi.ShutdownEvent](e)
	require.ErrorIs(t, err, qapi.ErrOtherEvent)
	stop, err := qapi.DecodeEvent(qmp.Event{Name: qapi.EventStop})
	require.NoError(t, err)
	require.IsType(t, &qapi.StopEvent{}, stop)

	_, err = qapi.DecodeEvent(qmp.Event{Name: "NEWER"})
	require.ErrorIs(t, err, qapi.ErrUnknownEvent)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	bad := qmp.Event{Name: "DEVICE_DELETED", Data: json.RawMessage(`{"path":1}`)}
	_, err = qapi.DecodeEvent(bad)
	require.ErrorContains(t, err, "DEVICE_DELETED")
	_, err = qapi.EventAs[qapi.DeviceDeletedEvent](bad)
	require.ErrorContains(t, err, "DEVICE_DELETED")
}

func Example() {
	c := &recorder{replies: map[string]string{"blockdev-add": "{}"}} // in place of a *qmp.Client
	err := qapi.BlockdevAdd(context.Background(), c, &qapi.BlockdevOptions{
		NodeName: new("root"),
		Qcow2: &qapi.BlockdevOptionsQcow2{File: qapi.BlockdevRef{Definition: &qapi.BlockdevOptions{
			File: &qapi.BlockdevOptionsFile{Filename: "/vm/root.qcow2"},
		}}},
	})
	fmt.Println(c.sent[0], err)
	// Output: blockdev-add {"driver":"qcow2","node-name":"root","file":{"driver":"file","filename":"/vm/root.qcow2"}} <nil>
}
