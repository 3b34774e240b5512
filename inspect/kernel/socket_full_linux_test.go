package kernel

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestFullUDPSocket: what waits on a UDP socket is told where it leaves no room, and of
// no other; of TCP the same attribute says nothing about the queue.
func TestFullUDPSocket(t *testing.T) {
	t.Parallel()
	msg := func(waits, room uint32) []byte {
		b := make([]byte, sizeofInetDiagMsg, sizeofInetDiagMsg+12)
		b[0], b[1] = unix.AF_INET, tcpClose
		b = binary.NativeEndian.AppendUint16(b, 12)
		b = binary.NativeEndian.AppendUint16(b, inetDiagSKMemInfo)
		return binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(b, waits), room)
	}
	for _, c := range []struct {
		waits, room uint32
		proto       snap.Proto
		want        int
	}{
		{212800, 212992, snap.UDP, 212800},
		{213760, 212992, snap.UDP, 213760}, // one more is taken than there is room for
		{106496, 212992, snap.UDP, 0},
		{2304, 2304, snap.UDP, 0}, // one datagram in the smallest buffer is no queue
		{212800, 212992, snap.TCP, 0},
	} {
		s, _, ok := decodeSocket(msg(c.waits, c.room), c.proto)
		if !ok || s.Queue != c.want {
			t.Errorf("%s with %d of %d: queue %d, want %d", c.proto, c.waits, c.room, s.Queue, c.want)
		}
	}
}
