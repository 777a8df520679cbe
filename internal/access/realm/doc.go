// Package realm is where users come from: domains.cfg with its realms as a value, and the synchronisation of a realm's
// users and groups with a directory as a pure function.
//
//	cfg, warnings := realm.Parse(text)
//	err := cfg.Add(realm.LDAP, "corp", map[string]string{"server1": "ldap.example.org", "base_dn": "dc=example", "user_attr": "uid"})
//	text, err := cfg.Format()
//
// It asks no server and keeps no secret. A Config may be changed by its one owner; one that nobody changes may be read
// by many.
package realm
