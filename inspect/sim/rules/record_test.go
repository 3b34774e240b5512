package rules

import (
	"testing"
)

func (rec *record) save(t *testing.T) {}
