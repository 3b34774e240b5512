package v1

// KindReport is the kind of the answer of report.
const KindReport = "ReportResult"

// ReportResult is the answer of report, about the file that was written.
type ReportResult struct {
	Head
	// Where it was written; "-" for stdout.
	File string `json:"file"`
	// Size of the file.
	Bytes int64 `json:"bytes"`
	// The verdict that the page begins with.
	Verdict string `json:"verdict" enum:"healthy,problems,unknown"`
	// What is on the page.
	Contents []Fact `json:"contents"`
	Tail
}

// Page is all that a report shows. It is inside the page, to be downloaded.
type Page struct {
	// The check-up.
	Check CheckResult `json:"check"`
	// The map.
	Map MapResult `json:"map"`
	// Flows: those asked for, then those that do not work.
	Traces []TraceResult `json:"traces"`
	// Names that do not resolve, and where the question went.
	Names []DNSResult `json:"names"`
	// The firewall's rules.
	Tables []RuleTable `json:"tables"`
	// What was left out so that the page stays small; empty when nothing was.
	Left []string `json:"left"`
}

// RuleTable is one table of rules in one namespace.
type RuleTable struct {
	// The namespace.
	Netns string `json:"netns"`
	// nft, iptables-nft, iptables-legacy and so on.
	System string `json:"system"`
	// The address family.
	Family string `json:"family"`
	// The table's name.
	Name string `json:"name"`
	// Its chains.
	Chains []RuleChain `json:"chains"`
}

// RuleChain is one chain.
type RuleChain struct {
	// Its name.
	Name string `json:"name"`
	// The hook it hangs on; empty for none.
	Hook string `json:"hook"`
	// Its policy; empty for none.
	Policy string `json:"policy"`
	// Codes of the findings that its policy decides.
	Decides []string `json:"decides"`
	// Its rules.
	Rules []RuleLine `json:"rules"`
}

// RuleLine is one rule.
type RuleLine struct {
	// Its position, from 1.
	Num int `json:"num"`
	// The rule as its own tool prints it.
	Text string `json:"text"`
	// Packets that it counted; -1 when it has no counter.
	Packets int64 `json:"packets"`
	// Bytes that it counted; -1 when it has no counter.
	Bytes int64 `json:"bytes"`
	// Codes of the findings that it decides or is evidence of.
	Decides []string `json:"decides"`
}
