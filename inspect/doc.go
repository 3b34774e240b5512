// Package inspect reads a whole host once into a snap.Snapshot: it finds the
// namespaces, reads those that matter at the same time, asks the engines, and
// joins what they say with what the kernel shows. It also writes snapshots to
// files, reads them back, and redacts them. After Read has returned nothing is
// open and nothing runs.
package inspect
