package snap

// Find is the first rule that the function takes; all nil when it takes none. It is asked
// of every rule in the order of tables, chains and rules.
func (r *Ruleset) Find(take func(*Table, *Chain, *Rule) bool) (*Table, *Chain, *Rule) {
	for i := range r.Tables {
		t := &r.Tables[i]
		for j := range t.Chains {
			c := &t.Chains[j]
			for k := range c.Rules {
				if take(t, c, &c.Rules[k]) {
					return t, c, &c.Rules[k]
				}
			}
		}
	}
	return nil, nil, nil
}
