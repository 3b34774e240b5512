//go:build !linux

package ns

// CgroupOf is always "" here.
func CgroupOf(int) string { return "" }
