package hostnet

import (
	"context"
	"os"
)

// OpenPort opens the queues of a port's tap, for a QEMU that may not do it itself. The caller closes the files.
func (s *Service) OpenPort(ctx context.Context, p Port) ([]*os.File, error) {
	return s.conn.OpenTap(ctx, p.Name, p.tap(), p.Queues)
}
