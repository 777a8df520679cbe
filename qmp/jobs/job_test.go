package jobs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/jobs"
	"github.com/turtacn/go-proxmox/qmp/qapi"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

// scripted starts a backup on a peer that plays the given events, and knows the jobs afterwards.
func scripted(t *testing.T, play func(*qmptest.Peer), known ...map[string]any) (*jobs.Job, *qmptest.Peer) {
	t.Helper()
	peer := qmptest.New(t, nil)
	peer.Handle("blockdev-backup", func(*qmptest.Request) (any, error) { play(peer); return nil, nil })
	peer.Handle("query-jobs", func(*qmptest.Request) (any, error) {
		if known == nil {
			return []any{}, nil
		}
		return known, nil
	})
	peer.Handle("job-dismiss", func(*qmptest.Request) (any, error) { return nil, nil })
	c, err := qmp.NewClient(limited(t), peer.Conn(), &qmp.Options{MaxEvents: 8})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	job, err := jobs.Backup(limited(t), c, &qapi.BlockdevBackupArgs{JobID: new("j"), Device: "d", Target: "t", Sync: qapi.MirrorSyncModeFull})
	require.NoError(t, err)
	return job, peer
}

func status(p *qmptest.Peer, id, s string) {
	p.Emit("JOB_STATUS_CHANGE", map[string]string{"id": id, "status": s})
}

func blockJob(p *qmptest.Peer, event string, more map[string]any) {
	data := map[string]any{"type": "backup", "device": "j", "len": 1, "offset": 1, "speed": 0}
	for k, v := range more {
		data[k] = v
	}
	p.Emit(event, data)
}

func concluded(errText string) map[string]any {
	m := map[string]any{"id": "j", "type": "backup", "status": "concluded", "current-progress": 1, "total-progress": 1}
	if errText != "" {
		m["error"] = errText
	}
	return m
}

func TestEndsOfAJob(t *testing.T) {
	for _, tc := range []struct {
		name  string
		play  func(*qmptest.Peer)
		known []map[string]any
		err   error  // nil: success
		text  string // of an *Error
	}{
		{"success", func(p *qmptest.Peer) { status(p, "other", "concluded"); status(p, "j", "concluded") }, []map[string]any{concluded("")}, nil, ""},
		{"failure", func(p *qmptest.Peer) { status(p, "j", "concluded") }, []map[string]any{concluded("No space left")}, nil, "No space left"},
		{"cancelled by another", func(p *qmptest.Peer) { blockJob(p, "BLOCK_JOB_CANCELLED", nil); status(p, "j", "concluded") },
			[]map[string]any{concluded("Operation canceled")}, jobs.ErrCancelled, ""},
		{"dismissed by another after success", func(p *qmptest.Peer) { blockJob(p, "BLOCK_JOB_COMPLETED", nil); status(p, "j", "concluded") }, nil, nil, ""},
		{"dismissed by another after failure",
			func(p *qmptest.Peer) {
				blockJob(p, "BLOCK_JOB_COMPLETED", map[string]any{"error": "EIO"})
				status(p, "j", "null")
			}, nil, nil, "EIO"},
		{"dismissed by another after cancel", func(p *qmptest.Peer) { blockJob(p, "BLOCK_JOB_CANCELLED", nil); status(p, "j", "null") }, nil, jobs.ErrCancelled, ""},
		{"dismissed, and nothing said", func(p *qmptest.Peer) { status(p, "j", "null") }, nil, jobs.ErrLost, ""},
		{"the end was among dropped events", flood, []map[string]any{concluded("")}, nil, ""},
		{"the job is gone after dropped events", flood, nil, jobs.ErrLost, ""},
		{"an event that is none", func(p *qmptest.Peer) { p.Emit("JOB_STATUS_CHANGE", map[string]any{"id": 1}) }, nil, nil, "cannot unmarshal"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			job, _ := scripted(t, tc.play, tc.known...)
			err := job.Wait(limited(t))
			switch {
			case tc.err != nil:
				require.ErrorIs(t, err, tc.err)
			case tc.text != "":
				require.ErrorContains(t, err, tc.text)
			default:
				require.NoError(t, err)
			}
			require.Equal(t, err, job.Err())
			<-job.Done()
		})
	}
}

func TestJobWhoseSessionEnds(t *testing.T) {
	job, peer := scripted(t, func(*qmptest.Peer) {})
	peer.HangUp()
	require.ErrorIs(t, job.Wait(limited(t)), qmp.ErrDisconnected)
}

// flood raises more events than the subscription holds while nobody can read them: the job is not followed before its
// command is answered.
func flood(p *qmptest.Peer) {
	status(p, "j", "concluded")
	for range 20 {
		status(p, "other", "running")
	}
}

func TestCancelThatIsRefused(t *testing.T) {
	job, peer := scripted(t, func(p *qmptest.Peer) { status(p, "j", "running") },
		map[string]any{"id": "j", "type": "backup", "status": "running", "current-progress": 0, "total-progress": 1})
	require.NoError(t, job.WaitFor(limited(t), qapi.JobStatusRunning))
	require.ErrorIs(t, job.Cancel(limited(t)), qmp.ErrCommandNotFound)
	require.NoError(t, job.Err())
	require.Equal(t, qapi.JobStatusRunning, job.Status())
	status(peer, "j", "null")
	require.ErrorIs(t, job.Wait(limited(t)), jobs.ErrLost)
	job.Close()
}
