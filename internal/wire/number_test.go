package wire

import (
	"strings"
	"testing"
)

func TestParseNumber(t *testing.T) {
	for s, want := range map[string]float64{
		"": -1, "x": -1, "1x": -1, "0x1": -1, "1_0": -1, "-1": -1, "Inf": -1, "1e": -1, "1e16": -1, "1000000000000000.5": -1,
		"0": 0, "1.5": 1.5, "1e15": maxCount, "1000000000000000": maxCount, "1000000000000001": -1, "9999999999999999": -1, "18446744073709551617": -1, "+3": 3,
		strings.Repeat("0", 31) + "7": 7, strings.Repeat("0", 32) + "7": -1,
	} {
		f, ok := parseNumber(s)
		if ok != (want >= 0) || f != max(0, want) {
			t.Errorf("%q: %v, %v", s, f, ok)
		}
	}
}

func TestParseCount(t *testing.T) {
	for s, want := range map[string]int64{
		"": -1, "-1": -1, "300, 300": -1, ",5": -1, "5,": -1, "1,00": -1, "1,0000": -1, "1000,000": -1, "1,,000": -1, "1,0x0": -1,
		"1,000,000,000,000,001": -1, "1,000,000,000,000,000,000": -1, "9,999,999,999,999,999": -1,
		"7": 7, " 7 ": 7, " 30,000 ": 30_000, "1,000": 1000, "12,345,678": 12_345_678, "1,000,000,000,000,000": maxCount, "7.9": 7,
	} {
		n, ok := parseCount(s)
		if ok != (want >= 0) || ok && n != want {
			t.Errorf("%q: %v, %v", s, n, ok)
		}
	}
}
