//go:build !linux

package checks_test

func inLab() {}
