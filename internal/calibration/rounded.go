package calibration

// Nearest returns where the server's bucket stood when it admitted the sent request, of
// which a report says only that it lies between least and most: what is closest to what is
// believed of it, so that a rounded figure corrects nothing that it does not contradict.
func (t *Tracker) Nearest(sent Sent, least, most float64) float64 {
	believed := sent.Used - sent.Corrected + t.corrected
	return min(max(believed, least), most)
}
