package clienttest

import "testing"

// TestClients runs every client against one gpved. The clients come one after the other, because two guests at once make
// a small machine too slow for the clients' own time limits.
func TestClients(t *testing.T) {
	needTools(t, "curl", "genisoimage", "node", "npm", "ip", "nft")
	h := openHouse(t)
	t.Run("go-proxmox", func(t *testing.T) { testGoProxmox(t, h) })
	t.Run("npm-proxmox-api", func(t *testing.T) { testNPM(t, h) })
	t.Run("curl", func(t *testing.T) { testCurl(t, h) })
}
