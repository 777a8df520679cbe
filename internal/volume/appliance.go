package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/ovf"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// appliancePatience bounds reading a description.
const appliancePatience = 30 * time.Second

// GetNodesStorageImportMetadata answers what a guest would be that is made from an appliance.
func (s *Service) GetNodesStorageImportMetadata(ctx context.Context, req *schema.GetNodesStorageImportMetadata) (schema.GetNodesStorageImportMetadataReply, error) {
	var reply schema.GetNodesStorageImportMetadataReply
	id, err := s.accessible(ctx, &req.Storage, req.Volume)
	if err != nil {
		return reply, err
	}
	ctx, cancel := context.WithTimeout(ctx, appliancePatience)
	defer cancel()
	t, err := s.open(ctx, id)
	if err != nil {
		return reply, err
	}
	if t.name.Content != volid.Import {
		return reply, call.Errorf("invalid content type '%s'", t.name.Content)
	}
	switch t.name.Format {
	case "ova", "ovf":
	default:
		return reply, call.Errorf("invalid format")
	}
	d, err := within(ctx, s, func() (*ovf.Descriptor, error) { return t.descriptor(ctx) })
	if err != nil {
		return reply, applianceError(t, err)
	}
	return s.metadata(ctx, t, d)
}

// descriptor reads the description of an appliance.
func (t *target) descriptor(ctx context.Context) (*ovf.Descriptor, error) {
	img, err := t.openImage(ctx)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	if t.name.Format == "ovf" {
		text, err := io.ReadAll(io.LimitReader(img.File, ovf.MaxDescriptorBytes+1))
		if err != nil {
			return nil, err
		}
		return ovf.Parse(text)
	}
	fi, err := img.File.Stat()
	if err != nil {
		return nil, err
	}
	a, err := ovf.OpenArchive(img.File, fi.Size(), nil)
	if err != nil {
		return nil, err
	}
	return a.Descriptor()
}

func applianceError(t *target, err error) error {
	if isPublic(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	return public(err, "error parsing %s: %v", t.name.Name, err)
}

// metadata puts a description into the words of the API.
func (s *Service) metadata(ctx context.Context, t *target, d *ovf.Descriptor) (schema.GetNodesStorageImportMetadataReply, error) {
	reply := schema.GetNodesStorageImportMetadataReply{
		Type: "vm", Source: t.name.Format, CreateArgs: map[string]any{}, Disks: map[string]any{}, Net: map[string]any{},
	}
	for k, v := range d.Options() {
		reply.CreateArgs[k] = v
	}
	for k, model := range d.NetOptions() {
		reply.Net[k] = map[string]any{"model": model}
	}
	warn := func(typ, key, value string) {
		w := schema.GetNodesStorageImportMetadataReplyWarnings{Type: typ}
		if key != "" {
			w.Key = &key
		}
		if value != "" {
			w.Value = &value
		}
		reply.Warnings = append(reply.Warnings, w)
	}
	for _, disk := range d.Disks {
		volume := fmt.Sprintf("%s:import/%s/%s", t.ID, t.name.Name, disk.File)
		size := disk.CapacityBytes
		if t.name.Format == "ovf" {
			volume = t.ID + ":import/" + path.Join(path.Dir(string(t.id)), disk.File)[len("import/"):]
			vol, err := s.Stat(ctx, volume)
			if errors.Is(err, storage.ErrNotFound) {
				return reply, public(err, "error parsing %s, file seems not to exist at %s", t.name.Name, disk.File)
			}
			if err != nil {
				return reply, err
			}
			size = vol.SizeBytes
		}
		reply.Disks[disk.Address] = map[string]any{"volid": volume, "size": size}
	}
	if t.name.Format == "ova" {
		warn("ova-needs-extracting", "", "")
	}
	if d.EFI {
		reply.Disks["efidisk0"] = 1
		warn("efi-state-lost", "bios", "ovmf")
	}
	return reply, nil
}

// extract copies an image out of an appliance into a hidden file of the same storage, which goes when the image is closed.
func (s *Service) extract(ctx context.Context, t *target) (*storage.Image, error) {
	st, ok := storage.As[storage.Stager](t.driver)
	if !ok {
		return nil, call.Errorf("cannot import from '%s' - its storage is not file based", t.text)
	}
	archive, member := path.Dir(string(t.id)), path.Base(string(t.id))
	o, ok := storage.As[storage.Opener](t.driver)
	if !ok {
		return nil, t.noStream()
	}
	img, err := o.Open(ctx, storage.VolumeID(archive), false)
	if err != nil {
		return nil, t.explain(err, "volume '"+t.text+"' cannot be read")
	}
	defer img.Close()
	fi, err := img.File.Stat()
	if err != nil {
		return nil, err
	}
	a, err := ovf.OpenArchive(img.File, fi.Size(), nil)
	if err != nil {
		return nil, public(err, "error during extraction: %v", err)
	}
	data, err := a.Open(member)
	if err != nil {
		return nil, public(err, "error during extraction: '%s' is not in the archive", member)
	}
	if _, err := s.room(ctx, t, data.Size()); err != nil {
		return nil, err
	}
	format := strings.TrimPrefix(t.name.Format, "ova+")
	stage, err := st.Stage(ctx, storage.VolumeID("import/extracted."+format))
	if err != nil {
		return nil, t.explain(err, "can't upload to storage type '"+t.Type+"'")
	}
	if _, err := io.CopyBuffer(onlyWriter{stage}, &contextReader{ctx, data}, make([]byte, 1<<20)); err != nil {
		return nil, errors.Join(t.explain(err, ""), stage.Discard())
	}
	f, err := reopen(stage.File())
	if err != nil {
		return nil, errors.Join(err, stage.Discard())
	}
	return &storage.Image{File: f, Format: storage.Format(format), Release: stage.Discard}, nil
}

func (t *target) noStream() error {
	return public(errors.ErrUnsupported, "volumes of storage '%s' cannot be read here", t.ID)
}

// reopen returns a file of one's own of the same content, for reading.
func reopen(f *os.File) (*os.File, error) { return os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd())) }
