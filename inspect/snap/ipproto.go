package snap

// Numbers of IP protocols, as the kernel's IPPROTO_* and IANA's registry (RFC 5237) have
// them.
const (
	IPProtoICMP    = 1
	IPProtoIGMP    = 2
	IPProtoTCP     = 6
	IPProtoUDP     = 17
	IPProtoDCCP    = 33
	IPProtoESP     = 50
	IPProtoAH      = 51
	IPProtoICMPv6  = 58
	IPProtoSCTP    = 132
	IPProtoUDPLite = 136
)

// IsICMP says whether a protocol number is ICMP's of either family.
func IsICMP(proto uint8) bool { return proto == IPProtoICMP || proto == IPProtoICMPv6 }
