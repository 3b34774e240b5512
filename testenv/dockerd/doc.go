// Package dockerd tests the whole program on a host with a real dockerd: the
// host is quiet, what is broken is named first and mended, and undo gives back
// the very state of before. It has no code outside its tests.
package dockerd
