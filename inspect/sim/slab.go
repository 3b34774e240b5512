package sim

// slab gives out values that live until the walk ends: their room is used
// again, so that nothing that outlives a walk may point to one.
type slab[T any] struct {
	all  []*T
	used int
}

// new gives a zero value.
func (s *slab[T]) new() *T {
	if s.used == len(s.all) {
		s.all = append(s.all, new(T))
	}
	t := s.all[s.used]
	s.used++
	return t
}

// reset takes all values back. What few walks need is not kept.
func (s *slab[T]) reset() {
	var zero T
	s.all = s.all[:min(len(s.all), 64)]
	for _, t := range s.all[:min(s.used, len(s.all))] {
		*t = zero
	}
	s.used = 0
}
