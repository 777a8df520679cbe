package vm

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// attached is where volumes are that were made reachable, as far as their storages' configuration alone does not say it.
type attached map[string]volid.Location

// attach makes volumes that a machine uses reachable for a user. Which of them is for the caller to note before.
func (s *Service) attach(ctx context.Context, uses []machineconf.VolumeUse, volumes []string, uid int) (attached, error) {
	found := attached{}
	for _, u := range uses {
		if !slices.Contains(volumes, u.ID) {
			continue
		}
		at, err := s.o.Volumes.Attach(ctx, u.ID, uid, u.ReadOnly || u.CDROM)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", u.Key, err)
		}
		if loc := locationOf(at); loc != nil {
			found[u.ID] = loc
		}
	}
	return found, nil
}

// locationOf is what a machine is told of an attachment. A file is where its name says, so there is nothing to add.
func locationOf(at storage.Attachment) volid.Location {
	switch at := at.(type) {
	case storage.Block:
		return volid.Device{Path: at.Path}
	case storage.ISCSI:
		return volid.ISCSI{Portal: at.Portal, Target: at.Target, LUN: at.LUN, Initiator: at.Initiator}
	case storage.RBD:
		r := volid.RBD{
			Pool: at.Pool, Namespace: at.Namespace, Image: at.Image, Snapshot: at.Snapshot,
			Conf: at.ConfFile, Keyring: at.KeyringFile, User: at.User,
		}
		for _, m := range at.Monitors {
			host, port, err := net.SplitHostPort(m)
			if err != nil {
				host, port = m, ""
			}
			r.Hosts = append(r.Hosts, volid.MonHost{Host: host, Port: port})
		}
		return r
	}
	return nil
}

// locate answers machineconf's question.
func (a attached) locate(id volid.ID) (volid.Location, error) { return a[id.Storage+":"+id.Name], nil }

// reached puts the attached volumes into a machine that was translated before they were.
func reached(r *machineconf.Result, at attached) error {
	if len(at) == 0 {
		return nil
	}
	again, err := r.Located(at.locate)
	if err != nil {
		return publicError(err)
	}
	*r = *again
	return nil
}

// nodeOf describes an attached volume for blockdev-add: its format over the node that reaches it.
func nodeOf(at storage.Attachment, name string) (map[string]any, error) {
	var file map[string]any
	format := storage.Raw
	switch at := at.(type) {
	case storage.File:
		format, file = at.Format, map[string]any{"driver": "file", "filename": at.Path}
	case storage.Block:
		format, file = at.Format, map[string]any{"driver": "host_device", "filename": at.Path}
	default:
		node, err := machineconf.LocationNode(locationOf(at))
		if err != nil {
			return nil, err
		}
		file = node.Arguments()
	}
	return map[string]any{"driver": string(format), "node-name": name, "file": file}, nil
}
