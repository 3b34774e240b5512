// Package render writes results to a stream: text for people, JSON and its kin for
// programs, JUnit, TAP, SARIF and annotations for CI, DOT and SVG for maps, HTML for
// the report. It sorts, aligns and colours; it computes nothing.
//
// House rules: every string passes Clean on its way out, in printer.put and in
// the encoders of json.go and yaml.go, nowhere else. Nothing cuts an address, a
// name or a rule.
package render

// Style says how to write.
type Style struct {
	Color   bool // SGR codes may be used
	ASCII   bool // the locale is not UTF-8
	Width   int  // columns; 0 is 80
	Wrap    bool // the stream is a terminal: prose is wrapped at Width
	Quiet   bool // findings only
	Short   bool // dns: the answer only
	Verbose bool // also what was checked and passed, and all steps
	Exit    int  // the exit code, for the last line
	// FailOn is the severity from which on a finding fails in CI's formats; "" is
	// error.
	FailOn string
}

func (s Style) width() int {
	if s.Width <= 0 {
		return 80
	}
	return s.Width
}

// Sign of a severity or verdict: one character in UTF-8, a word in ASCII.
func (s Style) sign(what string) (string, paint) {
	switch what {
	case "error", "dropped", "refused", "drop", "reject", "fail":
		return s.pick("×", "FAIL"), red
	case "warning":
		return s.pick("!", "WARN"), yellow
	case "info":
		return s.pick("·", "INFO"), dim
	case "ok", "delivered", "resolved", "healthy":
		return s.pick("✓", "OK"), green
	}
	return "?", yellow
}

func (s Style) pick(utf8, ascii string) string {
	if s.ASCII {
		return ascii
	}
	return utf8
}
