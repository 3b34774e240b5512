# Makes a table of what "go test -bench . -count N" prints: of each figure of each
# benchmark the least, the middle and the most of its N rounds.
/^Benchmark/ {
	sub(/-[0-9]+$/, "", $1)
	for (i = 3; i < NF; i += 2) {
		key = $1 " " $(i + 1)
		if (!(key in count)) order[++rows] = key
		seen[key, ++count[key]] = $i + 0
	}
	next
}
/^(FAIL|---|panic|#)/ { print; failed = 1 }
END {
	printf "%-52s %-22s %12s %12s %12s\n", "benchmark", "figure", "min", "median", "max"
	for (r = 1; r <= rows; r++) {
		key = order[r]
		n = count[key]
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && seen[key, j - 1] > seen[key, j]; j--) {
				t = seen[key, j]
				seen[key, j] = seen[key, j - 1]
				seen[key, j - 1] = t
			}
		split(key, w, " ")
		printf "%-52s %-22s %12.6g %12.6g %12.6g\n", w[1], w[2], seen[key, 1], (seen[key, int((n + 1) / 2)] + seen[key, int(n / 2) + 1]) / 2, seen[key, n]
	}
	exit failed
}
