// Package daemon is gpved: it puts the packages together and holds no behaviour of its own.
//
//	err := daemon.Init(ctx, daemon.InitOptions{DataDir: dir, Node: "pve1", Password: secret})
//	cfg, err := daemon.LoadConfig(filepath.Join(dir, daemon.ConfigFile), dir)
//	d, err := daemon.New(ctx, cfg)
//	err = d.Run(ctx)
//
// A daemon needs root for other users' processes, taps and bridges. Guests outlive it; a second daemon on the same data
// directory is refused by the store's lock.
package daemon
