// Package twin says what p says, in another way.
package twin
