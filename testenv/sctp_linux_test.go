package testenv_test

import (
	"encoding/binary"
	"hash/crc32"
	"net"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

// sctpInit is the first packet of an association: INIT (RFC 9260, section 3.3.2)
// with the checksum of section 6.8.
func sctpInit(sport, dport uint16) []byte {
	b := make([]byte, 32)
	binary.BigEndian.PutUint16(b, sport)
	binary.BigEndian.PutUint16(b[2:], dport)
	b[12] = 1 // INIT
	binary.BigEndian.PutUint16(b[14:], 20)
	binary.BigEndian.PutUint32(b[16:], 0x01020304) // initiate tag
	binary.BigEndian.PutUint32(b[20:], 65535)
	binary.BigEndian.PutUint16(b[24:], 1)
	binary.BigEndian.PutUint16(b[26:], 1)
	binary.BigEndian.PutUint32(b[28:], 1)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// raw is a socket for whole packets of SCTP, which needs no SCTP of the kernel.
func raw(t *testing.T, at *ns.Handle) *net.IPConn {
	t.Helper()
	var c *net.IPConn
	if err := at.Do(func() (err error) {
		c, err = net.ListenIP("ip4:132", &net.IPAddr{IP: net.IPv4zero})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestSCTPPublished sends the first packet of an association to a published port,
// and sees it arrive in the container with the container's port, its checksum
// right, while one to another port does not.
func TestSCTPPublished(t *testing.T) {
	out := lan(t)
	for _, gen := range driver.Generations() {
		t.Run(string(gen), func(t *testing.T) {
			h := raised(t, parse(t, "services:\n  a: {networks: [app], ports: [\"3868:38/sctp\"]}\nnetworks:\n  app: {}\n"), gen)
			place, err := nsOf(t, h, "a")
			if err != nil {
				t.Fatal(err)
			}
			defer place.Close()
			from, to := raw(t, out), raw(t, place)
			host := &net.IPAddr{IP: net.IPv4(198, 51, 100, 1)}
			for _, p := range []uint16{3869, 3868} { // the one that is not published first
				if _, err := from.WriteTo(sctpInit(40000+p, p), host); err != nil {
					t.Fatal(err)
				}
			}
			_ = to.SetReadDeadline(time.Now().Add(5 * time.Second))
			b := make([]byte, 1500)
			n, err := to.Read(b)
			if err != nil {
				t.Fatalf("nothing arrives: %v", err)
			}
			got := b[:n]
			if len(got) > 20 && got[0]>>4 == 4 { // Read of an IPConn gives the header, too
				got = got[int(got[0]&15)*4:]
			}
			if want := sctpInit(40000+3868, 38); string(got) != string(want) {
				t.Errorf("arrived % x\nwant    % x", got, want)
			}
		})
	}
}
