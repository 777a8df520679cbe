package cluster_test

import (
	"context"
	"fmt"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
)

// A write under a lock carries the lock's guard, and a watch shows what happened.
func Example() {
	ctx := context.Background()
	store := memstore.New() // or boltstore.Open(path, nil)
	defer store.Close()

	lease, err := cluster.Lock(ctx, store, cluster.LeaseSpec{Name: "guest/100", TTL: 10 * time.Second, Info: "me"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := store.Txn(ctx, cluster.If(lease.Guard()), cluster.Put("/vm/100", []byte("name: web"))); err != nil {
		fmt.Println(err)
	}
	guard := lease.Guard()
	if err := lease.Release(ctx); err != nil {
		fmt.Println(err)
	}
	_, err = store.Txn(ctx, cluster.If(guard), cluster.Put("/vm/100", []byte("name: late")))
	fmt.Println(err)

	for ev, err := range store.Watch(ctx, "/vm/", 0) {
		if err != nil || ev.Synced {
			break
		}
		for _, c := range ev.Changes {
			fmt.Printf("%s is %q\n", c.Key, c.Value)
		}
	}
	// Output:
	// cluster: txn: condition failed: /lease/guest/100/holder is at revision 2
	// /vm/100 is "name: web"
}
