package p

import "testing"

func Test(t *testing.T) {
	var v T[int]
	v.Tested = v.Tests()
	v.Called()
}
