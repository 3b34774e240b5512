package v1

// FixPlan is the answer of fix --dry-run: what would be changed.
type FixPlan struct {
	Head
	// What would be done, in order.
	Changes []Change `json:"changes"`
	// What the model says of the suffering flows after the changes.
	After []AfterFlow `json:"after"`
	// What the state would differ in, as diff says it of the states before and
	// after.
	Differences []Difference `json:"differences"`
	// What the model says of all other flows.
	Others Others `json:"others"`
	// Findings that no change can mend, with advice.
	Advice []Advice `json:"advice"`
	// Changes are pending.
	Pending bool `json:"pending"`
	Tail
}

// Change is one step of a plan.
type Change struct {
	// Position in the plan, from 1.
	ID int `json:"id"`
	// Code of the finding it mends.
	Finding string `json:"finding"`
	// What it does, in words.
	Summary string `json:"summary"`
	// The lines that a person would type.
	Do []string `json:"do"`
	// The lines that put back what was; empty when nothing can.
	Undo []string `json:"undo"`
	// What it may cost if it is wrong.
	Risk string `json:"risk" enum:"low,medium,high"`
	// How long it lasts.
	Survives string `json:"survives"`
	// The namespace it is in; empty when it is in none.
	Netns string `json:"netns"`
	// What the finding says beside its fix: what else to decide, or what undoes it again;
	// empty when there is nothing to say.
	Note string `json:"note"`
}

// AfterFlow is what becomes of a flow by the changes.
type AfterFlow struct {
	// The sender.
	From string `json:"from"`
	// The destination.
	To string `json:"to"`
	// The verdict as it is.
	Before string `json:"before"`
	// The verdict after the changes.
	After string `json:"after"`
}

// Advice is what a person should do about a finding that has no fix.
type Advice struct {
	// Code of the finding.
	Finding string `json:"finding"`
	// What is wrong, in one sentence.
	Summary string `json:"summary"`
	// What to do.
	Advice string `json:"advice"`
}

// FixResult is the answer of fix.
type FixResult struct {
	Head
	// What was done, in order.
	Changes []Change `json:"changes"`
	// What the model said of the suffering flows before the changes were made.
	After []AfterFlow `json:"after"`
	// Findings that no change can mend, with advice.
	Advice []Advice `json:"advice"`
	// The changes are in the kernel now.
	Applied bool `json:"applied"`
	// The host was read, checked and probed again, and the findings are gone.
	Verified bool `json:"verified"`
	// What undo takes; empty when nothing was changed.
	Transaction string `json:"transaction"`
	// Every transaction of this run, in order.
	Transactions []string `json:"transactions"`
	// Everything was put back, because a step failed or did not help.
	RolledBack bool `json:"rolledBack"`
	// What could not be put back.
	Left []string `json:"left"`
	// Why it failed; empty when it did not.
	Error string `json:"error"`
	// Codes that are gone.
	Gone []string `json:"gone"`
	// Codes that are still there.
	Remaining []string `json:"remaining"`
	Tail
}

// UndoResult is the answer of undo.
type UndoResult struct {
	Head
	// What was put back; empty when there was nothing to undo.
	Transaction string `json:"transaction"`
	// What was put back, one line each.
	Done []string `json:"done"`
	// What could not be put back.
	Left []string `json:"left"`
	Tail
}
