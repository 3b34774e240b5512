package names

// Resolve predicts the way of a name.
func Resolve(in Input) Path {
	return Path{Name: in.Name, Type: in.Type, From: in.Netns, Verdict: Unknown}
}
