extension OrderModel {
    /// What must hold at every moment. Nil when it does.
    func breach() -> String? {
        var owner: [Seat: ReservationID] = [:]
        for (id, reservation) in books.reservations.enumerated() {
            let shouldLive = [.pending, .paying, .paid].contains(reservation.status)
            if reservation.isLive != shouldLive {
                return "order \(id) is \(reservation.status), seats live: \(!shouldLive)"
            }
            if reservation.isLive {
                for seat in reservation.seats {
                    if let other = owner.updateValue(id, forKey: seat) {
                        return "seat \(seat) is \(other)'s and \(id)'s"
                    }
                }
            }
            let payments = books.payments.filter { $0.reservation == id }
            let started = payments.count { $0.status == .started }
            if (reservation.status == .paying) != (started == 1) {
                return "order \(id) is \(reservation.status) with \(started) attempts under way"
            }
            if (reservation.status == .paid) != (payments.count { $0.status == .succeeded } == 1) {
                return "order \(id) is \(reservation.status), its payments \(payments.map(\.status))"
            }
        }
        for (payment, count) in bank.refunds where count > 1 {
            return "payment \(payment) was refunded \(count) times"
        }
        var last: [Seat: Fence] = [:]
        for sale in books.sales {
            if sale.fence.epoch != sale.epoch { return "seat \(sale.seat) was sold by a grant of an earlier life" }
            if let before = last[sale.seat], before >= sale.fence {
                return "seat \(sale.seat) was sold by an old grant"
            }
            last[sale.seat] = sale.fence
        }
        return nil
    }

    /// What must hold when all is told, asked and swept.
    func breachAtRest() -> String? {
        if let breach = breach() { return breach }
        for (payment, attempt) in bank.attempts {
            let status = books.payments[payment].status
            switch attempt {
            case .captured:
                let reservation = books.reservations[books.payments[payment].reservation]
                let isPaid = status == .succeeded && reservation.status == .paid
                guard isPaid || (status == .refunded && bank.refunds[payment] == 1) else {
                    return "captured money is \(status)"
                }
                if isPaid, bank.refunds[payment] ?? 0 > 0 { return "payment \(payment) is paid and refunded" }
            case .declined:
                if status != .declined { return "a declined payment is \(status)" }
            case .unknown:
                if status != .started { return "an attempt that nobody knows of is \(status)" }
            }
            if attempt != .captured, bank.refunds[payment] ?? 0 > 0 { return "money that never came was sent back" }
        }
        if books.reservations.contains(where: { $0.status == .pending && $0.expiresAt <= now }) {
            return "an order did not end"
        }
        if !books.outbox.isEmpty { return "the outbox is not empty" }
        let live = liveClaims()
        for seat in 0..<OrderSimulation.seats where shelf.claims[seat]?.claim != live[seat] {
            return "Redis says \(String(describing: shelf.claims[seat]?.claim)) of seat \(seat), PostgreSQL "
                + String(describing: live[seat])
        }
        return breachInLog()
    }

    /// Every order's log is a path that it can have taken, and ends where it is.
    private func breachInLog() -> String? {
        for (id, reservation) in books.reservations.enumerated() {
            let changes = books.log.filter { $0.reservation == id }.map(\.change)
            guard changes.first == .created else { return "order \(id) has no beginning in the log" }
            var status = Status.pending
            for change in changes.dropFirst() {
                switch change {
                case .created: return "order \(id) was created twice"
                case .paying: status = .paying
                case .declined: if status == .paying { status = .pending }
                case .paid: status = .paid
                case .expired: status = .expired
                case .cancelled: status = .cancelled
                case .refundDue: break
                case .refunded: if status == .expired || status == .cancelled { status = .refunded }
                }
            }
            if status != reservation.status { return "order \(id) is \(reservation.status), its log says \(changes)" }
        }
        return nil
    }
}
