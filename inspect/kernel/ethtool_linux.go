package kernel

import (
	"encoding/binary"
	"errors"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Numbers of linux/ethtool.h.
const (
	ethtoolGStrings   = 0x1b
	ethtoolGSSetInfo  = 0x37
	ethtoolGFeatures  = 0x3a
	ethSSFeatures     = 4
	ethGStringLen     = 32
	maxEthtoolStrings = 256 // 64 in Linux 6.18
)

// wantedFeature says whether an offload feature can break a container's
// traffic: checksums and segmentation that a tunnel or a virtual port leaves to
// a device that does not do them.
func wantedFeature(name string) bool {
	switch name {
	case "rx-checksum", "rx-gro", "rx-lro", "rx-gro-list", "rx-udp-gro-forwarding", "tx-nocache-copy":
		return true
	}
	return strings.HasPrefix(name, "tx-checksum") || strings.HasPrefix(name, "tx-udp") ||
		strings.HasPrefix(name, "tx-tcp") || name == "tx-generic-segmentation" || name == "tx-scatter-gather"
}

// readOffloads fills Link.Offload by ioctls of a socket in the namespace.
// Devices that have no such settings keep nil: unknown.
func readOffloads(fd int, list []snap.Link) error {
	var names []string
	for i := range list {
		l := &list[i]
		if l.Loopback {
			continue
		}
		if names == nil {
			n, err := featureNames(fd, l.Name)
			if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENODEV) {
				continue
			}
			if err != nil {
				return NetlinkError("reading offload features", err)
			}
			names = n
		}
		l.Offload = features(fd, l.Name, names)
	}
	return nil
}

// ethtool does one SIOCETHTOOL. data is the command's struct.
func ethtool(fd int, dev string, data []byte) error {
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the rest of struct ifreq's union
	}
	copy(req.name[:unix.IFNAMSIZ-1], dev)
	req.data = unsafe.Pointer(&data[0])
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	if errno != 0 {
		return errno
	}
	return nil
}

// featureNames asks for the names of feature bits: one list for all devices
// (net/ethtool/common.c:netdev_features_strings).
func featureNames(fd int, dev string) ([]string, error) {
	info := make([]byte, 24)
	putNative(info, 0, ethtoolGSSetInfo)
	putNative(info, 8, 1<<ethSSFeatures)
	if err := ethtool(fd, dev, info); err != nil {
		return nil, err
	}
	n := int(min(u32of(info[16:]), maxEthtoolStrings))
	if n == 0 {
		return nil, unix.EOPNOTSUPP
	}
	b := make([]byte, 12+n*ethGStringLen)
	putNative(b, 0, ethtoolGStrings)
	putNative(b, 4, ethSSFeatures)
	putNative(b, 8, uint32(n))
	if err := ethtool(fd, dev, b); err != nil {
		return nil, err
	}
	out := make([]string, n)
	for i := range out {
		out[i] = strOf(b[12+i*ethGStringLen:][:ethGStringLen])
	}
	return out, nil
}

// features are the wanted feature bits of one device; nil when it has none.
func features(fd int, dev string, names []string) map[string]bool {
	blocks := (len(names) + 31) / 32
	b := make([]byte, 8+16*blocks)
	putNative(b, 0, ethtoolGFeatures)
	putNative(b, 4, uint32(blocks))
	if err := ethtool(fd, dev, b); err != nil {
		return nil
	}
	out := map[string]bool{}
	for i, name := range names {
		if !wantedFeature(name) {
			continue
		}
		// struct ethtool_get_features_block: available, requested, active, never_changed
		active := u32of(b[8+16*(i/32)+8:])
		out[name] = active&(1<<(i%32)) != 0
	}
	return out
}

func putNative(b []byte, at int, v uint32) {
	binary.NativeEndian.PutUint32(b[at:], v)
}
