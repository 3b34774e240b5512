// Package witness watches probes on their way through the namespaces: what the
// kernel says of each packet, which rules counted it, on which device it was
// seen. Each way of watching is optional, and says when it is not there. None of
// them changes the machine.
package witness
