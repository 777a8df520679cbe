package netkit

// Counters are the bytes that a device has received from and sent to its other end since it was made. For a tap that end is
// the program that holds it. See struct rtnl_link_stats64.
type Counters struct{ RxBytes, TxBytes uint64 }
