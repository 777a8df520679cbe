package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

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
	Node        string
	Password    string // only if it was generated
	CAFile      string
	Fingerprint string // SHA-256 of the server's certificate
	Bridges     []string
}

// ErrInitialized is a data directory that is in use already.
var ErrInitialized = errors.New("data directory is initialized already")

// Init makes a data directory: certificates, the state with the password of root@pam, the configuration file. It refuses
// one that has a configuration file, which is written last, so that a half-made directory can be made again.
func Init(ctx context.Context, o InitOptions) (*InitResult, error) {
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, ConfigFile)
	if _, err := os.Stat(file); err == nil {
		return nil, fmt.Errorf("%s: %w", dir, ErrInitialized)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if o.Node == "" {
		if o.Node, err = hostName(); err != nil {
			return nil, err
		}
	}
	cfg := &Config{APIVersion: APIVersion, Kind: Kind, DataDir: dir, Agent: AgentConfig{NodeName: o.Node}, Network: NetworkConfig{Bridges: o.Bridges}}
	checked := *cfg
	if err := checked.fill(); err != nil {
		return nil, err
	}
	res := &InitResult{Node: o.Node}
	if o.Password == "" {
		res.Password = rand.Text()
		o.Password = res.Password
	} else if len(o.Password) < minPassword {
		return nil, fmt.Errorf("the password is shorter than %d characters", minPassword)
	}
	if err := makeDataDir(dir); err != nil {
		return nil, err
	}
	names, err := hostNames(o.Node)
	if err != nil {
		return nil, err
	}
	p := pki{filepath.Join(dir, "pki")}
	if err := p.create(o.Node, names, time.Now()); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	if err := makeState(ctx, dir, o.Password); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	res.CAFile = p.caCert()
	if res.Fingerprint, err = fingerprint(p.cert()); err != nil {
		return nil, err
	}
	for _, b := range o.Bridges {
		res.Bridges = append(res.Bridges, b.Name+" "+b.CIDR)
	}
	text, err := yaml.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	return res, atomicfile.Write(file, append([]byte(configHead), text...), 0o600)
}

const configHead = "# Configuration of gpved. `gpved run --help` says where every key is described.\n"

// minPassword is the shortest password in characters, as the API has it.
const minPassword = 5

// makeDataDir makes the folders. Guests run as users of their own and must reach their disks and sockets, so the folders on
// the way can be entered, but not listed, by everybody.
func makeDataDir(dir string) error {
	for _, d := range []string{dir, localPath(dir), filepath.Join(dir, "run")} {
		if err := os.MkdirAll(d, 0o711); err != nil {
			return err
		}
		if err := os.Chmod(d, 0o711); err != nil {
			return err
		}
	}
	for _, d := range []string{"state", "log"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return err
		}
	}
	return nil
}

func stateFile(dir string) string { return filepath.Join(dir, "state", "gpve.db") }

// localStorage is the storage that every node begins with, for every kind of content.
const localStorage = "dir: local\n\tpath %s\n\tcontent backup,images,import,iso,rootdir,snippets,vztmpl\n\tprune-backups keep-all=1\n\n"

// makeState makes the state with the password of root@pam and the storage local. A half-made one is completed.
func makeState(ctx context.Context, dir, password string) error {
	store, err := boltstore.Open(stateFile(dir), nil)
	if err != nil {
		return err
	}
	acc, err := access.New(store, nil)
	if err == nil {
		err = acc.SetRootPassword(ctx, password)
	}
	if err == nil {
		_, err = store.Txn(ctx, cluster.Put(volume.Key, fmt.Appendf(nil, localStorage, localPath(dir))))
	}
	return errors.Join(err, store.Close())
}

func localPath(dir string) string { return filepath.Join(dir, "local") }

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
