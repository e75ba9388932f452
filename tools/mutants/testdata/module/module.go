// Package module imports p.
package module

import "example.test/module/p"

// Quarter is n / 4.
func Quarter(n int) int { return p.Half(p.Half(n)) }
