package ns

// TunReader is a process that reads what leaves by a tun or tap device.
type TunReader struct {
	Proc   Proc
	Device string // as it is called in Netns
	Netns  uint64 // inode of the device's namespace
	UID    *uint32
	Groups []int // the process's groups, the effective one first
}

// tunFile is how links to such descriptors end: where the process has a /dev of its own
// they are below another directory.
const tunFile = "/net/tun"
