package ledger

// Front names the tickets of a line for which asking may be worth it now that something
// has changed for the owners: the first few at the node of each. Whoever of them takes
// what there is changes it for those behind.
func (a *Account) Front(line string, owners []string) (tickets []string) {
	l := a.lines[line]
	if l == nil {
		return nil
	}
	for _, name := range owners {
		n := l.nodes[a.owners[name]]
		if n == nil {
			continue
		}
		for _, e := range n.order[:min(Heads, len(n.order))] {
			t := e.ticket
			if t == nil {
				t = e.node.head()
			}
			tickets = append(tickets, t.id)
		}
	}
	return tickets
}

// Capped names the tickets, by line, for which asking may be worth it now that something
// has changed for the owner of their ceilings: the first of each scope.
func (a *Account) Capped(name string) (tickets map[string][]string) {
	o := a.owners[name]
	if o == nil || o.nodes == 0 {
		return nil
	}
	tickets = map[string][]string{}
	for line, l := range a.lines {
		for _, n := range l.nodes {
			if t := n.head(); t != nil && t.scope == n.owner && ceiling(t.buckets) == o {
				tickets[line] = append(tickets[line], t.id)
			}
		}
	}
	return tickets
}

// Moved reports whether the order of a line has changed since the last call of Moved.
func (a *Account) Moved(line string) bool {
	l := a.lines[line]
	if l == nil {
		return false
	}
	moved := l.moved
	l.moved = false
	return moved
}
