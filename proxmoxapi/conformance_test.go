package proxmoxapi_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi"
	"github.com/turtacn/go-proxmox/proxmoxapi/apitest"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func TestThreat29_Conformance(t *testing.T) {
	require.Len(t, schema.Endpoints(), 679)
	apitest.Conformance(t, proxmoxapi.NewRegistry())
}

// TestReadingWithoutFunctions calls every reading method of an empty server: it answers with a list, an object or one of
// PVE's refusals, or says that it is not implemented, and never breaks.
func TestReadingWithoutFunctions(t *testing.T) {
	srv := apitest.Start(t, proxmoxapi.New(proxmoxapi.NewRegistry(), &apitest.Auth{}, nil))
	lists := 0
	for _, e := range schema.Endpoints() {
		if e.Method != "GET" {
			continue
		}
		reply := srv.Do("GET", apitest.SampleURI(e), apitest.Root)
		require.Contains(t, []int{200, 400, 424, 500, 501}, reply.Status, e.Path)
		require.NotContains(t, reply.Reason, "internal error", e.Path)
		if reply.Status == 200 && e.Returns != nil && e.Returns.Type == "array" {
			var body struct{ Data []any }
			require.NoError(t, json.Unmarshal([]byte(reply.Body), &body), e.Path)
			require.NotNil(t, body.Data, e.Path)
			lists++
		}
	}
	require.Greater(t, lists, 120)
}
