// Seating
