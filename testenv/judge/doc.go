// Package judge holds the simulator against the kernel. Its tests build small
// networks in namespaces of their own, send real packets, and compare what came
// back with what sim had said about the same snapshot. It has no code outside
// its tests.
package judge
