package fixups

import (
	"encoding/json"
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// envelope is the JSON form of an operation.
type envelope struct {
	Kind string          `json:"kind"`
	Op   json.RawMessage `json:"op"`
}

// kinds makes one empty operation of every kind.
func kinds() []Op {
	return []Op{
		&Seq{}, &LinkSet{}, &LinkMaster{}, &LinkMTU{}, &LinkARP{}, &LinkAttr{}, &LinkMAC{}, &LinkAdd{}, &LinkDel{}, &PortSet{}, &BridgeSet{}, &QdiscDel{}, &QdiscAdd{}, &QdiscBurst{}, &XDPSet{},
		&AddrAdd{}, &AddrDel{}, &RouteAdd{}, &RouteDel{}, &RouteReplace{}, &PolicyRuleAdd{}, &PolicyRuleDel{}, &XfrmPolicyAdd{}, &XfrmPolicyDel{},
		&NeighSet{}, &NeighDel{}, &FDBSet{}, &FDBDel{}, &SysctlSet{},
		&RuleInsert{}, &RuleDelete{}, &RuleRestore{}, &ChainPolicy{}, &ChainAdd{}, &ChainDel{}, &TableAdd{}, &TableDel{},
		&SetElementAdd{}, &SetElementDel{}, &ConntrackDelete{}, &RecentDel{}, &RecentAdd{}, &IPSetMember{},
		&FileWrite{}, &EngineConnect{}, &EngineDisconnect{}, &ContainerStart{}, &ContainerStop{}, &ContainerPause{}, &ContainerUnpause{},
		&ProcessContinue{}, &ProcessStop{}, &GroupThaw{}, &GroupFreeze{}, &NetnsAdd{}, &NetnsDel{},
		&SandboxAdd{}, &SandboxDel{}, &SetAdd{}, &SetDel{}, &TableDrop{}, &FilePut{}, &LinkGroupDel{}, &HelperStart{}, &HelperStop{}, &AardvarkStart{}, &AardvarkStop{},
	}
}

// Marshal gives the JSON form {"kind":…,"op":{…}}. A nil Op is null.
func Marshal(op Op) ([]byte, error) {
	if op == nil {
		return []byte("null"), nil
	}
	body, err := json.Marshal(op)
	if err != nil {
		return nil, fmt.Errorf("operation %s: %w", op.Kind(), err)
	}
	return json.Marshal(envelope{op.Kind(), body})
}

// Unmarshal reads what Marshal wrote. A kind that this version does not have
// is snap.ErrUnsupported.
func Unmarshal(b []byte) (Op, error) {
	if string(b) == "null" {
		return nil, nil
	}
	var e envelope
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("operation: %w", err)
	}
	for _, op := range kinds() {
		if op.Kind() != e.Kind {
			continue
		}
		if err := json.Unmarshal(e.Op, op); err != nil {
			return nil, fmt.Errorf("operation %s: %w", e.Kind, err)
		}
		return op, nil
	}
	return nil, fmt.Errorf("operation of kind %q: %w", e.Kind, snap.ErrUnsupported)
}

// Ops is a list of operations with a JSON form.
type Ops []Op

// MarshalJSON writes a list of what Marshal writes.
func (o Ops) MarshalJSON() ([]byte, error) {
	list := make([]json.RawMessage, len(o))
	for i, op := range o {
		b, err := Marshal(op)
		if err != nil {
			return nil, err
		}
		list[i] = b
	}
	return json.Marshal(list)
}

// UnmarshalJSON reads it.
func (o *Ops) UnmarshalJSON(b []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	*o = make(Ops, len(list))
	for i, raw := range list {
		op, err := Unmarshal(raw)
		if err != nil {
			return err
		}
		(*o)[i] = op
	}
	return nil
}
