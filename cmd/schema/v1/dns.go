package v1

// DNSResult is the answer of dns for one name from one place.
type DNSResult struct {
	Head
	// What the asking program gets.
	Verdict string `json:"verdict" enum:"resolved,nxdomain,nodata,servfail,refused,timeout,unknown"`
	// The name as asked.
	Name string `json:"name"`
	// The record type.
	Type string `json:"type"`
	// Who asks.
	From Endpoint `json:"from"`
	// What the program gets.
	Answers []string `json:"answers"`
	// The way of the question.
	Steps []DNSStep `json:"steps"`
	// Every name server on the way, with every answer that it gave.
	Servers []DNSServer `json:"servers"`
	// Fully qualified names in the order they are tried.
	Candidates []string `json:"candidates"`
	// What each C library would return.
	Libc LibcSet `json:"libc"`
	// Which of them it is here; empty when unknown.
	LibcHere string `json:"libcHere"`
	// What breaks it; null when nothing does.
	Problem *DNSProblem `json:"problem"`
	// Questions that were sent, in order.
	Sent []Sent `json:"sent"`
	Tail
}

// DNSStep is one stage of a name's way.
type DNSStep struct {
	// The stage: nsswitch, /etc/hosts, search list, 127.0.0.11, an upstream and so on.
	Where string `json:"where"`
	// What was asked there.
	Asked string `json:"asked"`
	// What came back.
	Answer string `json:"answer"`
	// ok, fail, skip or unknown.
	Verdict string `json:"verdict"`
	// Time the live question took; 0 when none was sent.
	DurationMs float64 `json:"durationMs"`
	// The namespace from which the question leaves; empty when it is no question.
	LeavesFrom string `json:"leavesFrom"`
	// Lines of the snapshot that it rests on.
	Because []string `json:"because"`
}

// DNSServer is one name server on the way.
type DNSServer struct {
	// Its address and port.
	Server string `json:"server"`
	// resolv.conf, embedded, upstream or aardvark.
	Role string `json:"role"`
	// The namespace that it is asked from.
	From string `json:"from"`
	// Whether the model lets a question and its answer through on this host.
	Reach string `json:"reach" enum:"delivered,dropped,unknown"`
	// Why not; empty otherwise.
	Why string `json:"why"`
	// The hops of a question, with --trace-upstream.
	Way []string `json:"way"`
	// What it answered, in the order of the questions.
	Answers []DNSServerAnswer `json:"answers"`
}

// DNSServerAnswer is what one question to one server came to.
type DNSServerAnswer struct {
	// The full name asked for.
	Name string `json:"name"`
	// The type of record asked for.
	Type string `json:"type"`
	// udp or tcp; tcp too where the answer by UDP was cut short.
	Transport string `json:"transport" enum:"udp,tcp"`
	// EDNS(0) was announced.
	EDNS bool `json:"edns"`
	// answered, refused, rejected, timeout, unroutable or error.
	Outcome string `json:"outcome"`
	// NOERROR, NXDOMAIN and so on; empty when nothing came.
	Rcode string `json:"rcode"`
	// aa, ra, tc.
	Flags []string `json:"flags"`
	// The records, with their type.
	Records []string `json:"records"`
	// What was wrong with answers that were not believed: id, question, source, malformed.
	ThrownAway []string `json:"thrownAway"`
	// Time until the answer; 0 when none came.
	DurationMs float64 `json:"durationMs"`
	// More in words; empty when nothing is to be said.
	Detail string `json:"detail"`
}

// LibcSet holds what each library would return.
type LibcSet struct {
	// The GNU C library.
	Glibc LibcAnswer `json:"glibc"`
	// musl, as in Alpine.
	Musl LibcAnswer `json:"musl"`
	// Go's own resolver.
	Go LibcAnswer `json:"go"`
}

// LibcAnswer is what a library returns.
type LibcAnswer struct {
	// What a program linked with it gets; empty when it was not worked out.
	Verdict string `json:"verdict"`
	// The addresses or texts it gets.
	Answers []string `json:"answers"`
	// How long it waits in vain for servers that keep silent, in this one look-up.
	WaitMs float64 `json:"waitMs"`
	// What is peculiar to it; empty when nothing is.
	Note string `json:"note"`
}

// DNSProblem is what breaks a name.
type DNSProblem struct {
	// A stable word for the sort of problem.
	Kind string `json:"kind"`
	// The problem in one sentence.
	Detail string `json:"detail"`
	// The server it is about; empty when none.
	Server string `json:"server"`
}

// DNSSetResult is the answer of dns from several places.
type DNSSetResult struct {
	Head
	// The worst of the answers.
	Verdict string `json:"verdict" enum:"resolved,nxdomain,nodata,servfail,refused,timeout,unknown"`
	// The name as asked.
	Name string `json:"name"`
	// The record type.
	Type string `json:"type"`
	// One answer for each place.
	Results []DNSResult `json:"results"`
	Tail
}
