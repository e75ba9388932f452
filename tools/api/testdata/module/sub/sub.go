package sub

type Base struct{ N int }

func (*Base) Promoted() {}
