// A job board: net/http, pgxpool, go-redis.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"
)

const (
	deadline = 3 * time.Second
	kept     = 30 * time.Second
	list     = `
SELECT j.id, j.title, j.region, o.name AS organisation
FROM jobs j JOIN organisations o ON o.id = j.organisation_id%s
ORDER BY j.id DESC LIMIT $1`
	show = `
SELECT j.id, j.title, j.region, o.name AS organisation
FROM jobs j JOIN organisations o ON o.id = j.organisation_id WHERE j.id = $1`
	create = `
INSERT INTO jobs (organisation_id, title, region, idempotency_key) VALUES ($1, $2, $3, nullif($4, ''))
ON CONFLICT (idempotency_key) DO UPDATE SET idempotency_key = excluded.idempotency_key RETURNING id`
)

type job struct {
	ID           int64  `json:"id"`
	Title        string `json:"title"`
	Region       string `json:"region"`
	Organisation string `json:"organisation"`
}

type service struct {
	pool  *pgxpool.Pool
	cache *redis.Client
	loads singleflight.Group
}

func main() {
	port := flag.Int("port", 8000, "to listen on")
	flag.Parse()
	s, err := connect()
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: fmt.Sprintf("127.0.0.1:%d", *port), Handler: s.routes(), ReadHeaderTimeout: deadline}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	go func() {
		<-stop.Done()
		ending, cancel := context.WithTimeout(context.Background(), 2*deadline)
		defer cancel()
		server.Shutdown(ending)
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

func connect() (*service, error) {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return nil, err
	}
	config.MaxConns = 10
	config.MaxConnLifetime = 30 * time.Minute
	config.ConnConfig.ConnectTimeout = 2 * time.Second
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, err
	}
	options, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	if err != nil {
		return nil, err
	}
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = time.Second, time.Second, time.Second
	options.MaxRetries = -1 // an increment whose answer was lost is not sent again
	return &service{pool: pool, cache: redis.NewClient(options)}, nil
}

func (s *service) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /jobs", s.list)
	mux.HandleFunc("POST /jobs", s.create)
	mux.HandleFunc("GET /jobs/{id}", s.show)
	mux.HandleFunc("POST /jobs/{id}/views", s.countView)
	mux.HandleFunc("GET /jobs/{id}/views", s.views)
	mux.HandleFunc("GET /health/live", s.live)
	mux.HandleFunc("GET /health/ready", s.ready)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), deadline)
		defer cancel()
		mux.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil || limit > 100 {
		limit = 50
	}
	where, values := []string{}, []any{limit}
	for _, name := range []string{"region", "title"} {
		if query.Has(name) {
			values = append(values, query.Get(name))
			where = append(where, fmt.Sprintf("j.%s = $%d", name, len(values)))
		}
	}
	filter := ""
	if len(where) > 0 {
		filter = " WHERE " + strings.Join(where, " AND ")
	}
	rows, err := s.pool.Query(r.Context(), fmt.Sprintf(list, filter), values...)
	if err != nil {
		s.unavailable(w, err)
		return
	}
	jobs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[job])
	if err != nil {
		s.unavailable(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"jobs": jobs})
}

func (s *service) show(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		answer(w, http.StatusNotFound, map[string]string{"error": "there is no such job"})
		return
	}
	var found job
	text, err := s.cache.Get(r.Context(), cached(id)).Bytes()
	if err != nil || json.Unmarshal(text, &found) != nil {
		var shared any
		// Who asks for it at the same time shares one load, and its deadline is its own.
		shared, err, _ = s.loads.Do(cached(id), func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), deadline)
			defer cancel()
			return s.load(ctx, id)
		})
		found, _ = shared.(job)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		answer(w, http.StatusNotFound, map[string]string{"error": "there is no such job"})
		return
	}
	if err != nil {
		s.unavailable(w, err)
		return
	}
	answer(w, http.StatusOK, found)
}

func (s *service) load(ctx context.Context, id int64) (job, error) {
	rows, err := s.pool.Query(ctx, show, id)
	if err != nil {
		return job{}, err
	}
	found, err := pgx.CollectOneRow(rows, pgx.RowToStructByPos[job])
	if err != nil {
		return job{}, err
	}
	text, err := json.Marshal(found)
	if err != nil {
		return job{}, err
	}
	if err := s.cache.Set(ctx, cached(id), text, kept).Err(); err != nil {
		log.Printf("cache unavailable: %v", err)
	}
	return found, nil
}

func cached(id int64) string {
	return fmt.Sprintf("job:%d", id)
}

func (s *service) create(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		OrganisationID int64  `json:"organisation_id"`
		Title          string `json:"title"`
		Region         string `json:"region"`
	}
	if json.NewDecoder(r.Body).Decode(&wanted) != nil || wanted.Title == "" || wanted.OrganisationID == 0 {
		answer(w, http.StatusUnprocessableEntity, map[string]string{"error": "title and organisation_id are needed"})
		return
	}
	var id int64
	key := r.Header.Get("Idempotency-Key")
	row := s.pool.QueryRow(r.Context(), create, wanted.OrganisationID, wanted.Title, wanted.Region, key)
	if err := row.Scan(&id); err != nil {
		s.unavailable(w, err)
		return
	}
	answer(w, http.StatusCreated, map[string]int64{"id": id})
}

func (s *service) countView(w http.ResponseWriter, r *http.Request) {
	views, err := s.cache.Incr(r.Context(), "views:"+r.PathValue("id")).Result()
	if err != nil {
		s.unavailable(w, err)
		return
	}
	answer(w, http.StatusCreated, map[string]int64{"views": views})
}

func (s *service) views(w http.ResponseWriter, r *http.Request) {
	views, err := s.cache.Get(r.Context(), "views:"+r.PathValue("id")).Int64()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.unavailable(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]int64{"views": views})
}

func (s *service) live(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (s *service) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	if err := s.pool.Ping(ctx); err != nil {
		s.unavailable(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func (s *service) unavailable(w http.ResponseWriter, err error) {
	log.Printf("unavailable: %v", err)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "25006" {
		s.pool.Reset() // the primary was demoted: new connections reach its successor
	}
	w.Header().Set("Retry-After", "1")
	answer(w, http.StatusServiceUnavailable, map[string]string{"error": "unavailable"})
}
