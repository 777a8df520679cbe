package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/boltstore"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/atomicfile"
	"github.com/turtacn/go-proxmox/internal/volume"
)

// InitOptions are what a new data directory is made of.
type InitOptions struct {
	DataDir  string
	Node     string         // name of the node; empty: the host's
	Password string         // of root@pam; empty: a random one, which Init returns
	Bridges  []BridgeConfig // to be made by every start
}

// InitResult is what the operator needs to know of a new data directory.
type InitResult struct {
	Node          string
	Password      string // only if it was generated
	CAFile        string
	CAFingerprint string // SHA-256 of the authority's certificate
	Fingerprint   string // SHA-256 of the server's certificate
	Bridges       []string
	Warning       string // what will not work as it is; empty if nothing is known
}

// ErrInitialized is a data directory that is in use already.
var ErrInitialized = errors.New("data directory is initialized already")

// ErrForeign is a folder that holds what no data directory does.
var ErrForeign = errors.New("folder is in use for something else")

// Init makes a data directory: certificates, the state with the password of root@pam, the configuration file. It refuses
// one that has a configuration file or holds anything foreign. What fails removes what it has made. The configuration file
// is written last, so that what a crash has left is completed by the next Init.
func Init(ctx context.Context, o InitOptions) (_ *InitResult, err error) {
	cfg, err := o.config()
	if err != nil {
		return nil, err
	}
	dir := cfg.DataDir
	if err := vacant(dir); err != nil {
		return nil, err
	}
	res := &InitResult{Node: cfg.Agent.NodeName}
	if o.Password == "" {
		res.Password = rand.Text()
		o.Password = res.Password
	} else if utf8.RuneCountInString(o.Password) < minPassword {
		return nil, fmt.Errorf("the password is shorter than %d characters", minPassword)
	}
	filled := *cfg
	if err := filled.fill(); err != nil {
		return nil, err
	}
	made, err := makeDataDir(&filled)
	defer func() {
		if err != nil {
			err = errors.Join(err, made.remove())
		}
	}()
	if err != nil {
		return nil, err
	}
	store, err := openState(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }() // before the removal
	if err := vacant(dir); err != nil {                      // another Init may have had the lock until now
		return nil, err
	}
	p := pki{pkiPath(dir)}
	if err := p.ensure(cfg.Agent.NodeName, o.addresses(), time.Now()); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	if err := fillState(ctx, store, dir, o.Password); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	res.CAFile = p.caCert()
	if res.CAFingerprint, err = fingerprint(res.CAFile); err != nil {
		return nil, err
	}
	if res.Fingerprint, err = fingerprint(p.cert()); err != nil {
		return nil, err
	}
	for _, b := range o.Bridges {
		res.Bridges = append(res.Bridges, b.Name+" "+b.CIDR)
	}
	res.Warning = reachWarning(dir)
	text, err := yaml.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	return res, atomicfile.Write(filepath.Join(dir, ConfigFile), append([]byte(configHead), text...), 0o600)
}

// config is the configuration to be written, without its defaults.
func (o *InitOptions) config() (*Config, error) {
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return nil, err
	}
	node := o.Node
	if node == "" {
		if node, err = hostName(); err != nil {
			return nil, err
		}
	}
	return &Config{
		APIVersion: APIVersion, Kind: Kind, DataDir: dir, Agent: AgentConfig{NodeName: node}, Network: NetworkConfig{Bridges: o.Bridges},
	}, nil
}

// addresses are those that the host gets by gpved itself.
func (o *InitOptions) addresses() []string {
	var list []string
	for _, b := range o.Bridges {
		if prefix, err := netip.ParsePrefix(b.CIDR); err == nil { // it has been checked with the configuration
			list = append(list, prefix.Addr().String())
		}
	}
	return list
}

// vacant refuses a folder that is a data directory, or somebody else's.
func vacant(dir string) error {
	_, err := os.Stat(filepath.Join(dir, ConfigFile))
	if err == nil {
		return fmt.Errorf("%s: %w", dir, ErrInitialized)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	name, err := foreign(dir)
	if err == nil && name != "" {
		err = fmt.Errorf("%s: %w: it holds %q", dir, ErrForeign, name)
	}
	return err
}

const configHead = "# Configuration of gpved. `gpved run --help` says where every key is described.\n"

// minPassword is the shortest password in characters, as the API has it.
const minPassword = 5

// localStorage is the storage that every node begins with, for every kind of content.
const localStorage = "dir: local\n\tpath %s\n\tcontent backup,images,import,iso,rootdir,snippets,vztmpl\n\tprune-backups keep-all=1\n\n"

// openState opens the state and so locks the data directory.
func openState(dir string) (cluster.Store, error) {
	// A daemon that was killed may hold the file for as long as a child of it takes from fork to exec.
	store, err := boltstore.Open(stateFile(dir), &boltstore.Options{LockWait: 2 * time.Second})
	if errors.Is(err, cluster.ErrInUse) {
		return nil, fmt.Errorf("another gpved works in %s: %w", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	return store, nil
}

// fillState sets the password of root@pam and, unless there are storages, makes the storage local.
func fillState(ctx context.Context, store cluster.Store, dir, password string) error {
	acc, err := access.New(store, nil)
	if err != nil {
		return err
	}
	if err := acc.SetRootPassword(ctx, password); err != nil {
		return err
	}
	_, err = store.Txn(ctx, cluster.If(cluster.Absent(volume.Key)), cluster.Put(volume.Key, fmt.Appendf(nil, localStorage, localPath(dir))))
	if errors.Is(err, cluster.ErrConflict) {
		return nil
	}
	return err
}

func hostName() (string, error) {
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name of the host: %w; give a node name", err)
	}
	for i := range name {
		if name[i] == '.' {
			return name[:i], nil
		}
	}
	return name, nil
}
