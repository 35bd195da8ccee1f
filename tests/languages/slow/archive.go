// Old jobs, asked for in ways that were fast while there were few of them.
package main

import (
	"net/http"

	"github.com/jackc/pgx/v5"
)

// What each path runs, with its parameters in the order of $1, $2 …
var archived = map[string]struct {
	query  string
	values []any
}{
	"/archive/title":  {"SELECT id, title FROM archive WHERE lower(title) = lower($1)", []any{"Title 7"}},
	"/archive/region": {"SELECT id, title FROM archive WHERE region = $1 ORDER BY id DESC LIMIT 20", []any{"coast"}},
	"/archive/kind":   {"SELECT id, title FROM archive WHERE kind = $1 ORDER BY id DESC LIMIT 20", []any{"rare"}},
	"/archive/sum":    {"SELECT sum(id)::bigint, 'sum' FROM archive WHERE a = $1 AND b = $2 AND c = $3", []any{3, 3, 3}},
	"/archive/export": {"SELECT id, note FROM archive ORDER BY note", nil},
}

func (s *service) archive(w http.ResponseWriter, r *http.Request) {
	wanted := archived[r.URL.Path]
	rows, err := s.pool.Query(r.Context(), wanted.query, wanted.values...)
	if err != nil {
		s.unavailable(w, err)
		return
	}
	found, err := pgx.CollectRows(rows, pgx.RowToMap)
	if err != nil {
		s.unavailable(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"archived": found})
}
