// Package lab is a private practice host: a host, containers and an internet in
// namespaces of their own, made in milliseconds, as root or in a user
// namespace. Tests run in it and can't touch the machine; people break it and
// let the doctor find out.
package lab

// RunDir holds the lab's files, inside its own /run.
const RunDir = "/run/netdoctor"
