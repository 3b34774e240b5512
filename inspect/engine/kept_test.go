package engine

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// The resolver of a container keeps the servers that the host had when it was started:
// 20.10 tells them in its store alone. Those given by --dns are the API's to tell.
func TestTheStoreTellsWhatAResolverForwardsTo(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	h.proc(fakeProc{pid: os.Getpid(), comm: "dockerd"})
	h.serve(docker2010(t))
	h.boltFile("/var/lib/docker/"+networkStore, func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte(networkBucket))
		if err != nil {
			return err
		}
		v := `{"ID":"1","Cid":"` + webID + `","Eps":null,"ExtDNS":["192.0.2.53"],"ExtDNS2":[{"IPStr":"192.0.2.53","HostLoopback":false},{"IPStr":"x"}]}`
		return b.Put([]byte(sandboxKeys+"1/"), []byte(strings.Repeat("\x00", storeIndex)+v))
	})
	for _, c := range Read(t.Context(), h.options()).Containers {
		var want []netip.Addr
		if c.ID == webID {
			want = []netip.Addr{netip.MustParseAddr("192.0.2.53")}
		}
		if !slices.Equal(c.Upstreams, want) {
			t.Errorf("%s forwards to %v, want %v", c.Name, c.Upstreams, want)
		}
	}
}
