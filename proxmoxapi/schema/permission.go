package schema

// PermissionKind says what a Permission asks for.
type PermissionKind uint8

// The kinds of permissions, as PVE's expressions have them.
const (
	PermWorld       PermissionKind = iota + 1 // anybody, without login
	PermAll                                   // any login
	PermPath                                  // "perm": Privs (all, or one if Any) on Path; not checked if RequireParam is set and not given
	PermAnd                                   // all Children
	PermOr                                    // one of Children
	PermUseridGroup                           // "userid-group": one of Privs on a group that the user named by userid is in
	PermUseridParam                           // "userid-param": Param is "self" (the caller is userid) or "Realm.AllocateUser"
	PermModify                                // "perm-modify": the caller may change permissions on Path
)

// Permission is a node of the expression that a caller must satisfy. root@pam satisfies all.
type Permission struct {
	Kind PermissionKind
	Path string // template with {param}; PermPath, PermModify
	// Privs are names of privileges; PermPath, PermUseridGroup.
	Privs        []string
	Any          bool          // PermPath: one privilege is enough
	RequireParam string        // PermPath: name of a parameter
	Children     []*Permission // PermAnd, PermOr
	// GroupsParam of PermUseridGroup is "create" or "update" if the groups named by the parameter groups count as well,
	// as those the new or changed user will be in.
	GroupsParam string
	Param       string // PermUseridParam
}

// World tells whether no login is needed. It is false for a nil permission, which is root@pam only.
func (p *Permission) World() bool { return p != nil && p.Kind == PermWorld }

// All tells whether any login is enough.
func (p *Permission) All() bool { return p != nil && p.Kind == PermAll }
