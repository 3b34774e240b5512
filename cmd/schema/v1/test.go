package v1

// KindTest is the kind of the answer of test.
const KindTest = "TestResult"

// TestResult is the answer of test: what was expected, and what is.
type TestResult struct {
	Head
	// passed: all are; failed: one at least is; unknown: none failed, but one
	// could not be determined.
	Verdict string `json:"verdict" enum:"passed,failed,unknown"`
	// The file with the expectations.
	File string `json:"file"`
	// The host in one line's worth of facts.
	Host HostInfo `json:"host"`
	// Counts.
	Summary TestSummary `json:"summary"`
	// The expectations in the order of the file.
	Tests []Test `json:"tests"`
	// How often everything was looked at before it was right or --wait was over.
	Rounds int `json:"rounds"`
	// Where the state was kept because something failed; empty when it was not.
	Bundle string `json:"bundle"`
	Tail
}

// TestSummary counts.
type TestSummary struct {
	// Expectations that hold.
	Passed int `json:"passed"`
	// Expectations that do not hold.
	Failed int `json:"failed"`
	// Expectations of which it could not be determined.
	Unknown int `json:"unknown"`
	// Expectations that were left out by their tags.
	Skipped int `json:"skipped"`
}

// Test is one expectation and what became of it.
type Test struct {
	// Its name: the one given, else the expectation itself.
	Name string `json:"name"`
	// What is expected: reach, resolve or findings.
	Kind string `json:"kind" enum:"reach,resolve,findings"`
	// The expectation as it is written.
	Expect string `json:"expect"`
	// Its tags.
	Tags []string `json:"tags"`
	// Line of the file, from 1.
	Line int `json:"line"`
	// Column of the file, from 1.
	Column int `json:"column"`
	// What became of it.
	Status string `json:"status" enum:"passed,failed,unknown,skipped"`
	// Why, in one sentence; empty when it passed.
	Reason string `json:"reason"`
	// The verdict of the trace or of the name; empty for findings.
	Got string `json:"got"`
	// predicted from the state read, or proved by a live probe; empty when nothing was seen.
	Confidence string `json:"confidence"`
	// How long it took, in milliseconds.
	DurationMs float64 `json:"durationMs"`
	// What explains a failure, the root cause first.
	Findings []Finding `json:"findings"`
}
