// Package usercfg is the user configuration of a Proxmox VE cluster as a value: users, tokens, groups, pools, roles and
// access control lists, with the parser and writer of user.cfg and the evaluation of who may do what at which path.
//
// It is pure: no store, no clock, no log. Logins, secrets and the API live in internal/access.
//
//	cfg, warnings := usercfg.Parse(text)
//	cfg.Users["ops@pve"] = usercfg.NewUser()
//	cfg.ACL.At("/vms").Users.Set("ops@pve", "PVEVMUser", true)
//	text, err := cfg.Format()
//	held := usercfg.NewEvaluator(cfg).Held("ops@pve", "/vms/100")
//
// A Config may be changed freely by its one owner; an [Evaluator] is immutable and safe for concurrent use, and the Config
// it was made of must not change any more.
package usercfg
