package firewall

// nft's datatype numbers (nftables: include/datatype.h, enum datatypes). The
// kernel only stores them (NFTA_SET_KEY_TYPE).
const (
	typeInvalid    = 0
	typeVerdict    = 1
	typeNFProto    = 2
	typeBitmask    = 3
	typeInteger    = 4
	typeString     = 5
	typeLLAddr     = 6
	typeIPAddr     = 7
	typeIP6Addr    = 8
	typeEtherAddr  = 9
	typeEtherType  = 10
	typeARPOp      = 11
	typeInetProto  = 12
	typeInetServ   = 13
	typeICMPType   = 14
	typeTCPFlag    = 15
	typeDCCPPkt    = 16
	typeMHType     = 17
	typeTime       = 18
	typeMark       = 19
	typeIfindex    = 20
	typeARPHRD     = 21
	typeRealm      = 22
	typeClassID    = 23
	typeUID        = 24
	typeGID        = 25
	typeCTState    = 26
	typeCTDir      = 27
	typeCTStatus   = 28
	typeICMP6Type  = 29
	typeCTLabel    = 30
	typePktType    = 31
	typeICMPCode   = 32
	typeICMP6Code  = 33
	typeICMPXCode  = 34
	typeDevGroup   = 35
	typeDSCP       = 36
	typeECN        = 37
	typeFibAddr    = 38
	typeBoolean    = 39
	typeCTEvent    = 40
	typeIfname     = 41
	typeIGMPType   = 42
	typeTimeDate   = 43
	typeTimeHour   = 44
	typeTimeDay    = 45
	typeCgroupV2   = 46
	typeBits       = 6 // a concatenation's types are packed in 6 bits each
	typeMask       = 1<<typeBits - 1
	maxConcatTypes = 5
)

// typeFields is the length in bytes of each part of a concatenated type; nil
// for a plain type, and for one whose parts have no size of their own.
func typeFields(t uint32) []int {
	if t <= typeMask {
		return nil
	}
	var list []int
	for _, id := range splitType(t) {
		n := typeSize(id)
		if n == 0 {
			return nil
		}
		list = append(list, n)
	}
	return list
}

// splitType takes a concatenated type apart, first part first.
func splitType(t uint32) []uint32 {
	var list []uint32
	for shift := maxConcatTypes * typeBits; shift >= 0; shift -= typeBits {
		if id := t >> shift & typeMask; id != 0 || len(list) > 0 {
			list = append(list, id)
		}
	}
	return list
}

// typeSize is the length of a value in bytes; 0 for a type without a size of
// its own (integer, string) or an unknown one.
func typeSize(id uint32) int {
	switch id {
	case typeNFProto, typeInetProto, typeICMPType, typeTCPFlag, typeDCCPPkt, typeMHType, typeCTDir, typeICMP6Type, typePktType,
		typeICMPCode, typeICMP6Code, typeICMPXCode, typeDSCP, typeECN, typeBoolean, typeIGMPType, typeTimeDay:
		return 1
	case typeEtherType, typeARPOp, typeInetServ, typeARPHRD:
		return 2
	case typeIPAddr, typeTime, typeMark, typeIfindex, typeRealm, typeClassID, typeUID, typeGID, typeCTState, typeCTStatus,
		typeDevGroup, typeFibAddr, typeCTEvent, typeTimeHour:
		return 4
	case typeEtherAddr:
		return 6
	case typeTimeDate, typeCgroupV2:
		return 8
	case typeIP6Addr, typeIfname, typeCTLabel:
		return 16
	}
	return 0
}
