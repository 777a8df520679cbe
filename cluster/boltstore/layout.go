package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/turtacn/go-proxmox/cluster"
)

// The file has two buckets: kv holds the keys, meta what the store knows of itself. layout numbers this arrangement, and
// is another thing than cluster.FormatKey, which numbers what the keys mean.
const layout = 1

var (
	bucketKV   = []byte("kv")
	bucketMeta = []byte("meta")
	keyLayout  = []byte("layout")
	keyRev     = []byte("rev")
)

// prepare makes the buckets of a new file and checks those of an old one. It returns the revision.
func prepare(db *bolt.DB) (rev int64, err error) {
	err = db.Update(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			if meta, err = tx.CreateBucket(bucketMeta); err != nil {
				return err
			}
			if _, err = tx.CreateBucket(bucketKV); err != nil {
				return err
			}
			if err = meta.Put(keyRev, encodeRev(0)); err != nil {
				return err
			}
			return meta.Put(keyLayout, encodeRev(layout))
		}
		switch n := decodeRev(meta.Get(keyLayout)); {
		case n > layout:
			return fmt.Errorf("%w: file layout %d, this program knows %d", cluster.ErrNewerFormat, n, layout)
		case n < 1 || tx.Bucket(bucketKV) == nil:
			return errors.New("not a state file")
		}
		rev = decodeRev(meta.Get(keyRev))
		return nil
	})
	return rev, err
}

func encodeRev(rev int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(rev)) }

func decodeRev(b []byte) int64 {
	if len(b) != 8 {
		return -1
	}
	return int64(binary.BigEndian.Uint64(b))
}

// encodeKV returns a record: the two revisions, then the value.
func encodeKV(kv cluster.KV) []byte {
	b := make([]byte, 0, 16+len(kv.Value))
	b = binary.BigEndian.AppendUint64(b, uint64(kv.CreateRev))
	b = binary.BigEndian.AppendUint64(b, uint64(kv.ModRev))
	return append(b, kv.Value...)
}

// decodeKV reads a record; the value is a copy, since bolt's memory is only valid during its transaction.
func decodeKV(key, record []byte) (cluster.KV, error) {
	if len(record) < 16 {
		return cluster.KV{}, fmt.Errorf("record of %q is cut off", key)
	}
	return cluster.KV{
		Key:       string(key),
		CreateRev: int64(binary.BigEndian.Uint64(record)),
		ModRev:    int64(binary.BigEndian.Uint64(record[8:])),
		Value:     append([]byte{}, record[16:]...),
	}, nil
}

// load reads a key; false if it is absent.
func load(b *bolt.Bucket, key string) (cluster.KV, bool, error) {
	record := b.Get([]byte(key))
	if record == nil {
		return cluster.KV{}, false, nil
	}
	kv, err := decodeKV([]byte(key), record)
	return kv, err == nil, err
}
